package ekcert_test

import (
	"bytes"
	"crypto/elliptic"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"iter"
	"slices"
	"strings"
	"testing"

	"github.com/whiteglove/whiteglove/ekcert"
	"github.com/whiteglove/whiteglove/internal/cms"
)

// header returns the header of a TCG_PCCLIENT_STORED_CERT around n bytes.
func header(n int) []byte { return []byte{0x10, 0x01, 0x00, byte(n >> 8), byte(n)} }

// intelJSON returns an answer like those of Intel's service.
func intelJSON(t testing.TB, der []byte) []byte {
	t.Helper()
	text := strings.ReplaceAll(base64.URLEncoding.EncodeToString(der), "=", "%3D")
	b, err := json.Marshal(map[string]string{"pubhash": "x%3D", "certificate": text})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func encodePEM(certs ...*x509.Certificate) []byte {
	var b []byte
	for _, c := range certs {
		b = append(b, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})...)
	}
	return b
}

func bag(t testing.TB, certs ...*x509.Certificate) []byte {
	t.Helper()
	b, err := cms.Bag(certs)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// forms returns one certificate in the forms in which certificates are found.
func forms(t testing.TB, m *maker, cert *x509.Certificate) map[string][]byte {
	t.Helper()
	der := cert.Raw
	fill := func(b byte, n int) []byte { return bytes.Repeat([]byte{b}, n) }
	return map[string][]byte{
		"DER":                       der,
		"filled with FF":            join(der, fill(0xFF, 431)),
		"filled with 00":            join(der, fill(0x00, 700)),
		"filled with 11":            join(der, fill(0x11, 9)),
		"filled with 30":            join(der, fill(0x30, 9)),
		"5-byte header":             join(header(len(der)), der),
		"5-byte header, filled":     join(header(len(der)), der, fill(0xFF, 3)),
		"7-byte header":             join(header(len(der)+2), []byte{0x10, 0x02}, der),
		"7-byte header, too big":    join(header(len(der)+900), []byte{0x10, 0x02}, der),
		"with issuer":               join(der, m.ca.Raw),
		"with issuer, filled":       join(der, m.ca.Raw, fill(0, 5)),
		"PEM":                       encodePEM(cert),
		"PEM with issuer":           join([]byte("\r\n"), encodePEM(cert, m.ca)),
		"JSON":                      intelJSON(t, der),
		"registry":                  registryBlob(der),
		"PKCS #7":                   bag(t, cert),
		"PKCS #7 with issuer":       bag(t, cert, m.ca),
		"other bytes behind":        join(der, []byte{0, 1, 0}),
		"other DER behind":          join(der, []byte{0x30, 0x02, 0x05, 0x00}),
		"cut DER behind":            join(der, []byte{0x30, 0x82, 0x05, 0x00, 1}),
		"PEM after text":            join([]byte("Certificate:\n    Data:\n        Version: 3 (0x2)\n"), encodePEM(cert)),
		"PEM with issuer, one line": bytes.ReplaceAll(encodePEM(cert, m.ca), []byte("\n"), nil),
		"PEM with spaces":           bytes.ReplaceAll(encodePEM(cert), []byte("\n"), []byte(" ")),
		"trusted PEM":               pem.EncodeToMemory(&pem.Block{Type: "TRUSTED CERTIFICATE", Bytes: join(der, []byte{0x30, 0x03, 0x0C, 0x01, 'x'})}),
		"X509 PEM":                  pem.EncodeToMemory(&pem.Block{Type: "X509 CERTIFICATE", Bytes: der}),
		"base64":                    []byte(base64.StdEncoding.EncodeToString(der)),
		"base64 in lines":           []byte(strings.Join(slices.Collect(chunks(base64.StdEncoding.EncodeToString(der), 76)), "\r\n") + "\r\n"),
		"base64url":                 []byte(base64.RawURLEncoding.EncodeToString(der)),
	}
}

// chunks yields s in parts of n bytes.
func chunks(s string, n int) iter.Seq[string] {
	return func(yield func(string) bool) {
		for len(s) > 0 && yield(s[:min(n, len(s))]) {
			s = s[min(n, len(s)):]
		}
	}
}

func TestParse(t *testing.T) {
	m := newMaker(t, "Intel")
	cert := m.issue(t, ekKey(t).Public(), intel)
	for name, b := range forms(t, m, cert) {
		got, err := ekcert.Parse(b)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if !bytes.Equal(got.Raw, cert.Raw) || got.Manufacturer != intel || got.Model != "PTT" ||
			got.Version != "id:00070055" || got.Vendor() != "INTC" {
			t.Errorf("%s: %+v", name, got)
		}
		want := 0
		if strings.Contains(name, "issuer") {
			want = 1
		}
		if len(got.Issuers) != want {
			t.Errorf("%s: %d issuers, want %d", name, len(got.Issuers), want)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	m := newMaker(t, "Intel")
	cert := m.issue(t, ekKey(t).Public(), intel)
	der := cert.Raw
	negative := bytes.Replace(der, []byte{0x02, 0x02, 0x7F, 0x01}, []byte{0x02, 0x02, 0xFF, 0x01}, 1)
	for name, tt := range map[string]struct {
		in   []byte
		want error
	}{
		"nothing":           {nil, ekcert.ErrMalformed},
		"blank":             {[]byte(" \n"), ekcert.ErrMalformed},
		"too much":          {join(der, make([]byte, 64<<10)), ekcert.ErrMalformed},
		"cut":               {der[:len(der)-1], ekcert.ErrMalformed},
		"cut at the start":  {der[1:], ekcert.ErrMalformed},
		"header only":       {header(0), ekcert.ErrMalformed},
		"all 00":            {make([]byte, 1600), ekcert.ErrMalformed},
		"all FF":            {bytes.Repeat([]byte{0xFF}, 1600), ekcert.ErrMalformed},
		"17 certificates":   {bytes.Repeat(der, 17), ekcert.ErrMalformed},
		"bad issuer":        {join(der, []byte{0x30, 0x0A, 0x30, 0, 0x30, 0, 0x03, 0x04, 0, 1, 2, 3}), ekcert.ErrMalformed},
		"PEM of a key":      {pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}), ekcert.ErrMalformed},
		"broken PEM":        {[]byte("-----BEGIN CERTIFICATE-----\nAAAA"), ekcert.ErrMalformed},
		"broken JSON":       {[]byte(`{"certificate":`), ekcert.ErrMalformed},
		"JSON without":      {[]byte(`{}`), ekcert.ErrMalformed},
		"negative serial":   {negative, ekcert.ErrNegativeSerial},
		"17 in PKCS #7":     {bag(t, slices.Repeat([]*x509.Certificate{cert}, 17)...), ekcert.ErrMalformed},
		"cut PKCS #7":       {bag(t, cert)[:200], ekcert.ErrMalformed},
		"not a certificate": {[]byte{0x30, 0x02, 0x05, 0x00}, ekcert.ErrMalformed},
		"DICE, not X.509":   {[]byte{0x02, 0x00, 0x00, 0x00, 0x30}, ekcert.ErrMalformed},
	} {
		_, err := ekcert.Parse(tt.in)
		var e *ekcert.Error
		if !errors.Is(err, tt.want) || !errors.As(err, &e) || !errors.Is(err, ekcert.ErrMalformed) {
			t.Errorf("%s: got %v", name, err)
			continue
		}
		if e.Op != "parse" || e.Retryable() || e.HRESULT() != 0x8007000D || e.Remedy() == "" {
			t.Errorf("%s: %+v, %#x, %q", name, e, e.HRESULT(), e.Remedy())
		}
	}
}

// altName returns a subject alternative name with a DNS name and a directory name, which
// has one RDN for each group of attributes.
func altName(t testing.TB, groups ...pkix.RelativeDistinguishedNameSET) pkix.Extension {
	t.Helper()
	rdns, err := asn1.Marshal(pkix.RDNSequence(groups))
	if err != nil {
		t.Fatal(err)
	}
	value, err := asn1.Marshal([]asn1.RawValue{
		{Class: asn1.ClassContextSpecific, Tag: 2, Bytes: []byte("tpm.test")},
		{Class: asn1.ClassContextSpecific, Tag: 4, IsCompound: true, Bytes: rdns},
	})
	if err != nil {
		t.Fatal(err)
	}
	return pkix.Extension{Id: asn1.ObjectIdentifier{2, 5, 29, 17}, Critical: true, Value: value}
}

func atv(n int, value any) pkix.AttributeTypeAndValue {
	return pkix.AttributeTypeAndValue{Type: asn1.ObjectIdentifier{2, 23, 133, 2, n}, Value: value}
}

func TestParseFields(t *testing.T) {
	spec, err := asn1.Marshal([]any{struct {
		ID     asn1.ObjectIdentifier
		Values []struct {
			Family          string `asn1:"utf8"`
			Level, Revision int
		} `asn1:"set"`
	}{asn1.ObjectIdentifier{2, 23, 133, 2, 16}, []struct {
		Family          string `asn1:"utf8"`
		Level, Revision int
	}{{"2.0", 0, 138}}}})
	if err != nil {
		t.Fatal(err)
	}
	m := newMaker(t, "Nuvoton")
	type set = pkix.RelativeDistinguishedNameSET
	other := pkix.AttributeTypeAndValue{Type: asn1.ObjectIdentifier{2, 5, 4, 10}, Value: "Org"}
	for name, names := range map[string]pkix.Extension{
		"three RDNs":           altName(t, set{atv(1, "id:4E544300")}, set{atv(2, "NPCT75x")}, set{atv(3, "id:13")}),
		"another order":        altName(t, set{atv(3, "id:13")}, set{other}, set{atv(1, "id:4E544300")}, set{atv(2, "NPCT75x")}),
		"one RDN":              altName(t, set{atv(3, "id:13"), atv(1, "id:4E544300"), atv(2, "NPCT75x"), other}),
		"one RDN, as it is":    oneRDN(t, "id:4E544300", "NPCT75x", "id:13"),
		"repeated, no dispute": altName(t, set{atv(3, "id:13"), atv(1, "id:4E544300"), atv(2, "NPCT75x")}, set{atv(2, "NPCT75x")}),
	} {
		cert := m.issue(t, ekKey(t).Public(), intel, func(c *x509.Certificate) {
			c.ExtraExtensions = []pkix.Extension{names, {Id: asn1.ObjectIdentifier{2, 5, 29, 9}, Value: spec}}
		})
		got, err := ekcert.Parse(cert.Raw)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if got.Manufacturer != "id:4E544300" || got.Vendor() != "NTC" || got.Model != "NPCT75x" || got.Version != "id:13" {
			t.Errorf("%s: %q %q %q", name, got.Manufacturer, got.Model, got.Version)
		}
		if got.Family != "2.0" || got.Level != 0 || got.Revision != 138 {
			t.Errorf("%s: specification %q %d %d", name, got.Family, got.Level, got.Revision)
		}
	}
}

// TestVendorName uses vendor IDs of the TCG registry and of real certificates.
func TestVendorName(t *testing.T) {
	for in, want := range map[string]string{
		"id:494E5443": "INTC", "id:494e5443": "INTC", "494E5443": "INTC", "INTC": "INTC",
		"id:49424d00": "IBM", "id:49424D20": "IBM", "IBM\x00": "IBM", "id:414D4400": "AMD", "AMD": "AMD",
		"id:53544D20": "STM", "STM ": "STM", "id:4E534D20": "NSM", "id:48504900": "HPI", "id:53494D30": "SIM0",
		"id:000a0005": "MSFT", "000A0005": "MSFT", "id:00001014": "00001014", "00001014": "00001014", "id:fffff1d0": "FFFFF1D0",
		"": "", "id:": "", "id:INTC": "", "id:49": "", "INTEL": "", "A B": "", "\x00\x00": "", "id:00000000": "00000000",
	} {
		if got := ekcert.VendorName(in); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}

// FuzzParse checks that the DER of a parsed certificate can be parsed again and gives
// the same fields.
func FuzzParse(f *testing.F) {
	m := newMaker(f, "Intel")
	cert := m.issue(f, newECKey(f, elliptic.P256()).Public(), intel)
	for _, b := range forms(f, m, cert) {
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		cert, err := ekcert.Parse(b)
		if err != nil {
			if !errors.Is(err, ekcert.ErrMalformed) {
				t.Errorf("error of another kind: %v", err)
			}
			return
		}
		again, err := ekcert.Parse(cert.Raw)
		if err != nil {
			t.Fatalf("own DER: %v", err)
		}
		if again.Manufacturer != cert.Manufacturer || again.Model != cert.Model || again.Version != cert.Version ||
			len(cert.Issuers) > 15 {
			t.Errorf("got %+v, then %+v", cert, again)
		}
	})
}
