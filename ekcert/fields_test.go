package ekcert

import (
	"encoding/asn1"
	"testing"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"

	"github.com/whiteglove/whiteglove/internal/wcce"
)

// der returns the bytes that a function adds, and panics if it cannot.
func der(f cryptobyte.BuilderContinuation) []byte {
	var b cryptobyte.Builder
	f(&b)
	return b.BytesOrPanic()
}

// attribute adds the SEQUENCE of an OID and a value.
func attribute(b *cryptobyte.Builder, id asn1.ObjectIdentifier, tag cbasn1.Tag, value string, more ...byte) {
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1ObjectIdentifier(id)
		b.AddASN1(tag, func(b *cryptobyte.Builder) { b.AddBytes([]byte(value)) })
		b.AddBytes(more)
	})
}

// name returns a subject alternative name with a directory name of one RDN, which f
// fills.
func name(f cryptobyte.BuilderContinuation) []byte {
	return der(func(b *cryptobyte.Builder) {
		b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
			b.AddASN1(directoryName, func(b *cryptobyte.Builder) {
				b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) { b.AddASN1(cbasn1.SET, f) })
			})
		})
	})
}

// What a name may look like, and what makes it unreadable.
func TestReadAltName(t *testing.T) {
	model := func(tag cbasn1.Tag, value string) []byte {
		return name(func(b *cryptobyte.Builder) { attribute(b, wcce.OIDTPMModel, tag, value) })
	}
	twice := func(second string) []byte {
		return name(func(b *cryptobyte.Builder) {
			attribute(b, wcce.OIDTPMModel, cbasn1.UTF8String, "m")
			attribute(b, wcce.OIDTPMModel, cbasn1.UTF8String, second)
		})
	}
	good := model(cbasn1.UTF8String, "m")
	behindName := append([]byte{0x30, byte(len(good)), 0xA4, byte(len(good) - 2)}, good[4:]...)
	behindName = append(behindName, 5, 0) // inside the directory name
	for what, tt := range map[string]struct {
		in    []byte
		model string
		ok    bool
	}{
		"UTF8String":           {good, "m", true},
		"PrintableString":      {model(cbasn1.PrintableString, "m"), "m", true},
		"IA5String":            {model(cbasn1.IA5String, "m"), "m", true},
		"T61String":            {model(cbasn1.T61String, "m"), "m", true},
		"OCTET STRING":         {model(cbasn1.OCTET_STRING, "m"), "", false},
		"no UTF-8":             {model(cbasn1.UTF8String, "\xff"), "", false},
		"the same twice":       {twice("m"), "m", true},
		"two":                  {twice("n"), "m", false},
		"bytes behind":         {append(model(cbasn1.UTF8String, "m"), 5, 0), "", false},
		"bytes behind a name":  {behindName, "", false},
		"bytes behind a value": {name(func(b *cryptobyte.Builder) { attribute(b, wcce.OIDTPMModel, cbasn1.UTF8String, "m", 5, 0) }), "", false},
		"not a SEQUENCE":       {[]byte{0x31, 0}, "", false},
		"a name is a SET":      {[]byte{0x30, 4, 0xA4, 2, 0x31, 0}, "", false},
		"no value": {name(func(b *cryptobyte.Builder) {
			b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) { b.AddASN1ObjectIdentifier(wcce.OIDTPMModel) })
		}), "", false},
		"no OID": {name(func(b *cryptobyte.Builder) {
			b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) { b.AddASN1NULL() })
		}), "", false},
	} {
		var f fields
		if ok := f.readAltName(tt.in); ok != tt.ok || f.model != tt.model && tt.ok {
			t.Errorf("%s: %v, %q", what, ok, f.model)
		}
	}
}

// The same for the attributes of a directory.
func TestReadAttributes(t *testing.T) {
	attributes := func(tag cbasn1.Tag, family string, more ...byte) []byte {
		return der(func(b *cryptobyte.Builder) {
			b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
				b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
					b.AddASN1ObjectIdentifier(oidSpecification)
					b.AddASN1(cbasn1.SET, func(b *cryptobyte.Builder) {
						b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
							b.AddASN1(tag, func(b *cryptobyte.Builder) { b.AddBytes([]byte(family)) })
							b.AddASN1Int64(0)
							b.AddASN1Int64(138)
						})
					})
					b.AddBytes(more)
				})
			})
		})
	}
	good := attributes(cbasn1.UTF8String, "2.0")
	for what, tt := range map[string]struct {
		in []byte
		ok bool
	}{
		"good":                      {good, true},
		"PrintableString":           {attributes(cbasn1.PrintableString, "2.0"), true},
		"OCTET STRING":              {attributes(cbasn1.OCTET_STRING, "2.0"), false},
		"no UTF-8":                  {attributes(cbasn1.UTF8String, "\xff"), false},
		"bytes behind":              {append(good, 5, 0), false},
		"bytes behind an attribute": {attributes(cbasn1.UTF8String, "2.0", 5, 0), false},
		"not a SEQUENCE":            {[]byte{0x31, 0}, false},
	} {
		var f fields
		if ok := f.readAttributes(tt.in); ok != tt.ok || ok && (f.family != "2.0" || f.revision != 138) {
			t.Errorf("%s: %v, %+v", what, ok, f)
		}
	}
}

// Which names are makers', and which IDs have a form.
func TestNames(t *testing.T) {
	for name, want := range map[string]bool{
		"INTC": true, "SIM0": true, "SIM7": true, "TST3": true,
		"SIM8": false, "SIM/": false, "SIMA": false, "SIM": false, "SIM00": false, "XXXX": false, "": false,
	} {
		if knownVendor(name) != want {
			t.Errorf("%q: %v", name, !want)
		}
	}
	for id, want := range map[string]bool{
		"id:494E5443": true, "494E5443": false, "id:494E54": false, "id:494E544300": false, "id:494E544X": false, "": false,
	} {
		if isID(id) != want {
			t.Errorf("%q: %v", id, !want)
		}
	}
	if got := missing(fields{model: "m"}); got != "no manufacturer, no version" {
		t.Error(got)
	}
	if got := missing(fields{manufacturer: "id:494E5443", model: "m", version: "id:1"}); got != "" {
		t.Error(got)
	}
}

// A name and its ID, in both directions.
func TestVendorID(t *testing.T) {
	for name, want := range map[string]string{
		"INTC": "id:494E5443", "AMD": "id:414D4400", "STM": "id:53544D20", "NSM": "id:4E534D20", "00001014": "id:00001014",
		"~": "id:7E000000", "\x7f": "", " ": "", "": "", "INTEL": "", "0000101X": "",
	} {
		got, err := vendorID(name)
		if got != want || (err == nil) != (want != "") {
			t.Errorf("%q: %q, %v", name, got, err)
		}
		if back := VendorName(got); err == nil && back != name {
			t.Errorf("%q: %q back", name, back)
		}
	}
}
