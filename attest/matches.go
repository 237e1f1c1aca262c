package attest

import "bytes"

// Matches reports whether k has the properties that CreateKey gives a key of
// this template: its algorithm and size, usage, hash, authorization policy and
// attributes. It does not look at Template.Auth and Template.Unloaded. Use it after [TPM.LoadKey] for a
// key file that somebody else may have written.
func (k *Key) Matches(tmpl Template) bool {
	want, err := tmpl.area()
	if err != nil || k == nil {
		return false
	}
	got, err := parseArea(k.area)
	return err == nil && got.like(want)
}

// like reports whether a is the area of a key that was made from template: all
// but the public key is the same.
func (a area) like(template *area) bool {
	a.n, a.x, a.y = template.n, template.x, template.y
	if a.exponent == 65537 { // TPMs may write the default as 0 or in full
		a.exponent = 0
	}
	return bytes.Equal(a.marshal(), template.marshal())
}
