package mdm_test

import (
	"encoding/base64"
	"errors"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"unicode/utf16"

	"github.com/whiteglove/whiteglove/mdm"
)

// utf16Text returns s in UTF-16 with a byte order mark.
func utf16Text(s string) string {
	b := []byte{0xFE, 0xFF}
	for _, u := range utf16.Encode([]rune(s)) {
		b = append(b, byte(u>>8), byte(u))
	}
	return string(b)
}

// Bad input in every call ends in a typed error with a code and without a
// result, and takes little memory.
func TestBadInput(t *testing.T) {
	discover := discovered("<EnrollmentServiceUrl>https://mdm.test/e</EnrollmentServiceUrl>")
	policy := policies("<policySchema>3</policySchema>", "")
	enrolled := answered([]byte(madeDocument(t, &mdmKey().PublicKey)))
	for name, change := range map[string]func(string) string{
		"empty":             func(string) string { return "" },
		"rubbish":           func(string) string { return "\x00\xff\xfe rubbish" },
		"JSON":              func(string) string { return `{"error":"no"}` },
		"document type":     func(s string) string { return "<!DOCTYPE s>" + s },
		"external entity":   func(s string) string { return `<!DOCTYPE s [<!ENTITY x SYSTEM "file:///etc/passwd">]>` + s },
		"laughter":          func(s string) string { return laughter + strings.Replace(s, "<s:Body>", "<s:Body>&l9;", 1) },
		"undeclared entity": func(s string) string { return strings.Replace(s, "<s:Body>", "<s:Body>&x;", 1) },
		"depth": func(s string) string {
			return strings.Replace(s, "<s:Body>", "<s:Header>"+strings.Repeat("<a>", 5000), 1)
		},
		"width": func(s string) string {
			return strings.Replace(s, "<s:Body>", strings.Repeat("<a/>", 30000)+"<s:Body>", 1)
		},
		"attributes":        func(s string) string { return "<a " + strings.Repeat(`a="" `, 200000) },
		"one long text":     func(s string) string { return strings.Replace(s, "<s:Body>", "<s:Body>"+strings.Repeat("x", 2<<20), 1) },
		"UTF-16":            utf16Text,
		"says UTF-16":       func(s string) string { return `<?xml version="1.0" encoding="utf-16"?>` + s },
		"says Latin-1":      func(s string) string { return `<?xml version="1.0" encoding="iso-8859-1"?>` + s },
		"no UTF-8":          func(s string) string { return strings.Replace(s, "<s:Body>", "<s:Body>\xff", 1) },
		"control character": func(s string) string { return strings.Replace(s, "<s:Body>", "<s:Body>\x01", 1) },
		"two bodies":        func(s string) string { return strings.Replace(s, "</s:Body>", "</s:Body><s:Body/>", 1) },
		"two answers":       func(s string) string { return strings.Replace(s, "</s:Body>", "<x/></s:Body>", 1) },
		"cut off":           func(s string) string { return s[:len(s)*3/4] },
		"another envelope":  func(s string) string { return strings.Replace(s, "2003/05/soap-envelope", "2099/05/soap-envelope", 1) },
		"unclosed":          func(s string) string { return strings.Replace(s, "</s:Body>", "", 1) },
		"closed out of order": func(s string) string {
			return strings.Replace(s, "</s:Body></s:Envelope>", "</s:Envelope></s:Body>", 1)
		},
		"processing, unclosed": func(s string) string { return "<?x " + s },
		"comment, unclosed":    func(s string) string { return "<!-- " + s },
	} {
		t.Run(name, func(t *testing.T) {
			for op, body := range map[string]string{"Discover": discover, "Policy": policy, "Enroll": enrolled} {
				before := allocated()
				e := callCanned(t, op, change(body))
				if e == nil {
					t.Errorf("%s: accepted", op)
					continue
				}
				if e.Op != op || e.HRESULT() == 0 && !strings.Contains(e.Error(), "too large") || e.Fault != nil {
					t.Errorf("%v", e)
				}
				if used := allocated() - before; used > 128<<20 {
					t.Errorf("%s: %d MiB of memory", op, used>>20)
				}
			}
		})
	}
	for op, body := range map[string]string{"Discover": discover, "Policy": policy, "Enroll": enrolled} {
		if e := callCanned(t, op, body); e != nil {
			t.Errorf("as it is: %v", e)
		}
	}
	if e := callCanned(t, "Enroll", answered([]byte(utf16Text(madeDocument(t, &mdmKey().PublicKey))))); e != nil {
		t.Errorf("UTF-16 document: %v", e)
	}
}

// laughter is the entity bomb.
const laughter = `<!DOCTYPE l [<!ENTITY l0 "ha"><!ENTITY l1 "&l0;&l0;&l0;&l0;&l0;&l0;&l0;&l0;&l0;&l0;"><!ENTITY l9 "&l1;&l1;&l1;&l1;&l1;&l1;">]>`

// allocated returns how many bytes were ever allocated.
func allocated() uint64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.TotalAlloc
}

// callCanned makes a call that is answered with body, and returns its error.
func callCanned(t *testing.T, op, body string) *mdm.Error {
	t.Helper()
	c := &mdm.Client{Device: mdm.Device{ID: testDevice}, HTTPClient: &http.Client{Transport: canned{Status: 200, Body: body}}}
	d := &mdm.Discovery{PolicyURL: "https://mdm.test/p", EnrollURL: "https://mdm.test/e"}
	var err error
	var got bool
	switch op {
	case "Discover":
		var r *mdm.Discovery
		r, err = c.Discover(t.Context(), "https://mdm.test/d", "")
		got = r != nil
	case "Policy":
		var r *mdm.Policy
		r, err = c.Policy(t.Context(), d, mdm.Token("a.b.c"))
		got = r != nil
	case "Enroll":
		var r *mdm.Enrollment
		r, err = c.Enroll(t.Context(), d, nil, &mdm.Request{Credential: mdm.Token("a.b.c"), Key: mdmKey()})
		got = r != nil
	}
	if got != (err == nil) {
		t.Fatalf("%s: result %t with %v", op, got, err)
	}
	var e *mdm.Error
	if err != nil && !errors.As(err, &e) {
		t.Fatalf("%T", err)
	}
	return e
}

// What is there twice, or is no base64, decides nothing.
func TestDuplicates(t *testing.T) {
	made := madeDocument(t, &mdmKey().PublicKey)
	doc := func(old, with string) string { return answered([]byte(strings.Replace(made, old, with, 1))) }
	const url = "<EnrollmentServiceUrl>https://mdm.test/e</EnrollmentServiceUrl>"
	token := func(content string) string {
		return soap12 + `<RequestSecurityTokenResponseCollection><RequestSecurityTokenResponse><RequestedSecurityToken>` + content +
			`</RequestedSecurityToken></RequestSecurityTokenResponse></RequestSecurityTokenResponseCollection>` + end
	}
	good := "<BinarySecurityToken>" + base64.StdEncoding.EncodeToString([]byte(made)) + "</BinarySecurityToken>"
	const addr, provider = `<parm name="ADDR" value="https://mdm.test/s"/>`, `<parm name="PROVIDER-ID" value="TestMDM"/>`
	for _, c := range []struct {
		name, op, body string
		code           uint32
	}{
		{"two addresses of the service", "Discover", discovered(url + strings.Replace(url, "/e", "/f", 1)), 0x801900C8},
		{"two results", "Discover", soap12 + "<DiscoverResponse><DiscoverResult>" + url + "</DiscoverResult><DiscoverResult/></DiscoverResponse>" + end, 0x801900C8},
		{"two key lengths", "Policy", policies("<privateKeyAttributes><minimalKeyLength>2048</minimalKeyLength><minimalKeyLength>4096</minimalKeyLength></privateKeyAttributes>", ""), 0x801900C8},
		{"two hashes", "Policy", policies("<hashAlgorithmOIDReference>1</hashAlgorithmOIDReference><hashAlgorithmOIDReference>2</hashAlgorithmOIDReference>", ""), 0x801900C8},
		{"two OIDs with one reference", "Policy", policies("<policySchema>3</policySchema>", oid("1.2", "1", "1")+oid("1.3", "1", "1")), 0x801900C8},
		{"two tokens", "Enroll", token(good + good), 0x80180023},
		{"no base64", "Enroll", token("<BinarySecurityToken>!!!!</BinarySecurityToken>"), 0x80180023},
		{"base64 cut off", "Enroll", token(strings.Replace(good, "=", "", 1)[:len(good)/2] + "A</BinarySecurityToken>"), 0x80180023},
		{"empty token", "Enroll", token("<BinarySecurityToken/>"), 0x80180023},
		{"two responses", "Enroll", soap12 + "<RequestSecurityTokenResponseCollection><RequestSecurityTokenResponse/><RequestSecurityTokenResponse/></RequestSecurityTokenResponseCollection>" + end, 0x80180023},
		{"two certificates in one place", "Enroll", doc(`<parm name="EncodedCertificate"`, `<parm name="EncodedCertificate" value="MAA="/><parm name="EncodedCertificate"`), 0x8018001E},
		{"two addresses", "Enroll", doc(addr, addr+`<parm name="ADDR" value="https://other.test/"/>`), 0x8018001F},
		{"two providers", "Enroll", doc(provider, provider+`<parm name="provider-id" value="Other"/>`), 0x8018001F},
		{"certificate of no base64", "Enroll", doc(`value="MII`, `value="!II`), 0x8018001E},
		{"parm without name", "Enroll", doc(addr, addr+`<parm value="x"/>`), 0x80180023},
		{"characteristic without type", "Enroll", doc(addr, addr+`<characteristic/>`), 0x80180023},
		{"unknown element", "Enroll", doc(addr, addr+`<script/>`), 0x80180023},
		{"parm outside", "Enroll", doc(`<characteristic`, `<parm name="a" value="b"/><characteristic`), 0x80180023},
		{"latin-1 document", "Enroll", answered([]byte(`<?xml version="1.0" encoding="iso-8859-1"?>` + made)), 0x80180023},
		{"UTF-16 document, cut off", "Enroll", answered([]byte(utf16Text(made)[:1001])), 0x80180023},
		{"UTF-16 document that says Latin-1", "Enroll", answered([]byte(utf16Text(`<?xml version="1.0" encoding="iso-8859-1"?>` + made))), 0x80180023},
		{"entity in the document", "Enroll", doc(addr, addr+"&x;"), 0x80180023},
	} {
		e := callCanned(t, c.op, c.body)
		if e == nil || e.HRESULT() != c.code {
			t.Errorf("%s: %v", c.name, e)
		}
	}
}
