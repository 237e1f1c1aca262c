package omadm_test

import (
	"crypto/rand"
	"crypto/x509"
	"encoding/hex"
	"strings"
	"testing"

	"github.com/whiteglove/whiteglove/mdm/internal/fixture"
	"github.com/whiteglove/whiteglove/mdm/omadm"
)

// A certificate request has all that an order wants.
func TestSCEPTemplate(t *testing.T) {
	o := &omadm.SCEPOrder{
		Subject: `CN=unit-7,OU="Sales, West",OU=a\,b,O=Contoso+L=Here;C=DE`, KeyUsage: 0xA0, EKUs: []string{"1.3.6.1.5.5.7.3.2", "1.3.6.1.4.1.311.20.2.2"},
		AlternativeNames: "11+ada@contoso.test;3+unit-7.contoso.test;2+a@contoso.test;8+192.0.2.7;7+urn:x",
	}
	template, err := o.CSRTemplate()
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.CreateCertificateRequest(rand.Reader, template, fixture.Key())
	if err != nil {
		t.Fatal(err)
	}
	csr, err := x509.ParseCertificateRequest(der)
	if err != nil {
		t.Fatal(err)
	}
	s := csr.Subject
	if s.CommonName != "unit-7" || strings.Join(s.OrganizationalUnit, "|") != "Sales, West|a,b" || s.Organization[0] != "Contoso" || s.Locality[0] != "Here" || s.Country[0] != "DE" {
		t.Errorf("subject %q", s)
	}
	if csr.DNSNames[0] != "unit-7.contoso.test" || csr.EmailAddresses[0] != "a@contoso.test" || csr.IPAddresses[0].String() != "192.0.2.7" || csr.URIs[0].String() != "urn:x" || !strings.Contains(string(der), "ada@contoso.test") {
		t.Errorf("names %v %v %v %v", csr.DNSNames, csr.EmailAddresses, csr.IPAddresses, csr.URIs)
	}
	var ids []string
	for _, e := range csr.Extensions {
		ids = append(ids, e.Id.String())
		if e.Id.String() == "2.5.29.15" && string(e.Value) != "\x03\x02\x05\xa0" {
			t.Errorf("key usage %x", e.Value)
		}
	}
	if strings.Join(ids, " ") != "2.5.29.15 2.5.29.37 2.5.29.17" {
		t.Errorf("extensions %q", ids)
	}
	if plain, err := (&omadm.SCEPOrder{Subject: "unit 7", KeyUsage: 0x80}).CSRTemplate(); err != nil || len(plain.ExtraExtensions) != 1 {
		t.Errorf("%+v, %v", plain, err)
	}
	for _, bad := range []*omadm.SCEPOrder{
		{Subject: "CN=a,Nothing=b"},
		{Subject: "CN=a,b"},
		{Subject: ",="},
		{Subject: "CN=a", EKUs: []string{"client"}},
		{Subject: "CN=a", EKUs: []string{"9.9.9"}},
		{Subject: "CN=a", AlternativeNames: "5+x"},
		{Subject: "CN=a", AlternativeNames: "8+x"},
		{Subject: "CN=a", AlternativeNames: "x"},
	} {
		if template, err := bad.CSRTemplate(); err == nil || template != nil {
			t.Errorf("%+v: %+v, %v", bad, template, err)
		}
	}
}

// Parts of names and addresses that are written in other ways.
func TestSCEPTemplateForms(t *testing.T) {
	subject := func(text string) string {
		template, err := (&omadm.SCEPOrder{Subject: text, KeyUsage: 0x80}).CSRTemplate()
		if err != nil {
			return err.Error()
		}
		return hex.EncodeToString(template.RawSubject)
	}
	for text, same := range map[string]string{
		"OID.2.5.4.3=a": "CN=a", "oid.2.5.4.3=a": "CN=a", "2.5.4.3=a": "CN=a", "CN=a,+": "CN=a", ",CN=a,,": "CN=a", `CN="a`: `CN=\"a`, `CN=a"`: `CN=a\"`, `CN="a""b"`: `CN=a\"b`,
	} {
		if got, want := subject(text), subject(same); got != want {
			t.Errorf("%s is %s, and %s is %s", text, got, same, want)
		}
	}
	if bad := subject("CN=+"); strings.Contains(bad, "not a part") {
		t.Error(bad)
	}
	long := "2.5" + strings.Repeat(".1", 30)
	for id, good := range map[string]bool{long: true, long + ".1": false, "2.5": true, "9.9": false, "2": false} {
		_, err := (&omadm.SCEPOrder{Subject: "CN=a", KeyUsage: 0x80, EKUs: []string{id}}).CSRTemplate()
		if (err == nil) != good || err != nil && !strings.Contains(err.Error(), "object identifier") {
			t.Errorf("%s: %v", id, err)
		}
	}
	template, err := (&omadm.SCEPOrder{Subject: "CN=a", KeyUsage: 0x80, AlternativeNames: "8+192.0.2.7;8+2001:db8::1"}).CSRTemplate()
	if err != nil {
		t.Fatal(err)
	}
	if got := hex.EncodeToString(template.ExtraExtensions[1].Value); got != "30188704c0000207871020010db8000000000000000000000001" {
		t.Errorf("addresses %s", got)
	}
}

// No text of a server stops the device.
func FuzzSCEPTemplate(f *testing.F) {
	f.Add(`CN=a\,b,OU="c"+L=d`, "3+x;11+y", "1.2.3")
	f.Add(`\`, "8+", "1.")
	f.Fuzz(func(t *testing.T, subject, names, eku string) {
		template, err := (&omadm.SCEPOrder{Subject: subject, AlternativeNames: names, EKUs: []string{eku}, KeyUsage: 0x80}).CSRTemplate()
		if (template == nil) == (err == nil) {
			t.Errorf("%+v, %v", template, err)
		}
	})
}
