package ekcert_test

import (
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"math/big"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/whiteglove/whiteglove/ekcert"
)

// scope returns an issuing distribution point with these fields.
func scope(fields ...byte) pkix.Extension {
	return pkix.Extension{
		Id: asn1.ObjectIdentifier{2, 5, 29, 28}, Critical: true,
		Value: append([]byte{0x30, byte(len(fields))}, fields...),
	}
}

// point returns a distribution point name with one URL, for scope.
func point(url string) []byte {
	out := append([]byte{0x86, byte(len(url))}, url...)
	out = append([]byte{0xA0, byte(len(out))}, out...)
	return append([]byte{0xA0, byte(len(out))}, out...)
}

// TestCRLScope checks CRLs that say what they cover.
func TestCRLScope(t *testing.T) {
	m, other := newMaker(t, "Intel"), newMaker(t, "Intel")
	ek := ekKey(t).Public()
	var body []byte
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { w.Write(body) }))
	defer server.Close()
	url := server.URL + "/crl"
	leaf := m.issue(t, ek, intel, func(c *x509.Certificate) { c.CRLDistributionPoints = []string{url} })
	hour := time.Hour
	for name, tt := range map[string]struct {
		edit func(*x509.RevocationList)
		by   *maker
		raw  []byte
		want string // why it does not count for the certificate
	}{
		"good":             {},
		"its own URL":      {edit: func(l *x509.RevocationList) { l.ExtraExtensions = []pkix.Extension{scope(point(url)...)} }},
		"for certificates": {edit: func(l *x509.RevocationList) { l.ExtraExtensions = []pkix.Extension{scope(0x81, 1, 0xFF)} }},
		"another URL":      {edit: func(l *x509.RevocationList) { l.ExtraExtensions = []pkix.Extension{scope(point("http://x")...)} }, want: "for another distribution point"},
		"for CAs":          {edit: func(l *x509.RevocationList) { l.ExtraExtensions = []pkix.Extension{scope(0x82, 1, 0xFF)} }, want: "other kinds"},
		"for attributes":   {edit: func(l *x509.RevocationList) { l.ExtraExtensions = []pkix.Extension{scope(0x85, 1, 0xFF)} }, want: "other kinds"},
		"for some reasons": {edit: func(l *x509.RevocationList) { l.ExtraExtensions = []pkix.Extension{scope(0x83, 2, 1, 0x40)} }, want: "some reasons"},
		"broken scope":     {edit: func(l *x509.RevocationList) { l.ExtraExtensions = []pkix.Extension{scope(0x87, 0)} }, want: "cannot be read"},
		"broken flag":      {edit: func(l *x509.RevocationList) { l.ExtraExtensions = []pkix.Extension{scope(0x81, 0)} }, want: "cannot be read"},
		"an unknown extension": {edit: func(l *x509.RevocationList) {
			l.ExtraExtensions = []pkix.Extension{{Id: asn1.ObjectIdentifier{1, 2, 3}, Value: []byte{5, 0}}}
		}},
		"an unknown critical extension": {edit: func(l *x509.RevocationList) {
			l.ExtraExtensions = []pkix.Extension{{Id: asn1.ObjectIdentifier{1, 2, 3}, Critical: true, Value: []byte{5, 0}}}
		}, want: "critical extension 1.2.3"},
		"not valid yet": {edit: func(l *x509.RevocationList) {
			l.ThisUpdate, l.NextUpdate = time.Now().Add(hour), time.Now().Add(2*hour)
		}, want: "not valid yet"},
		"out of date":            {edit: func(l *x509.RevocationList) { l.NextUpdate = time.Now().Add(-hour / 2) }, want: "out of date"},
		"signed by another":      {by: other, want: "verification failure"},
		"of another":             {by: newMaker(t, "AMD"), want: "has another issuer"},
		"no CRL":                 {raw: []byte("<html>"), want: "malformed crl"},
		"too large":              {raw: make([]byte, 4<<20+1), want: "too large"},
		"entry of an issuer":     {edit: func(l *x509.RevocationList) { l.RevokedCertificateEntries[0].ExtraExtensions = entryExtension(29) }, want: "an issuer that cannot be read"},
		"entry with a hold code": {edit: func(l *x509.RevocationList) { l.RevokedCertificateEntries[0].ExtraExtensions = entryExtension(23) }, want: "critical extension 2.5.29.23"},
	} {
		list := &x509.RevocationList{
			Number: big.NewInt(1), ThisUpdate: time.Now().Add(-hour), NextUpdate: time.Now().Add(hour),
			RevokedCertificateEntries: []x509.RevocationListEntry{{SerialNumber: big.NewInt(9), RevocationTime: time.Now()}},
		}
		if tt.edit != nil {
			tt.edit(list)
		}
		if tt.by == nil {
			tt.by = m
		}
		body = tt.raw
		if body == nil {
			var err error
			if body, err = x509.CreateRevocationList(rand.Reader, list, tt.by.ca, tt.by.key); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
		}
		c := &ekcert.Client{Roots: ekcert.Roots{"INTC": m.roots()}, Intermediates: pool(m.ca), CheckRevocation: true, AllowPrivateHosts: true}
		report, err := c.Verify(t.Context(), parsed(t, leaf.Raw), ek)
		if err != nil || report.Revocation.String() != "unknown" { // the CA names no CRL
			t.Fatalf("%s: %v, %+v", name, err, report)
		}
		detail, _, _ := strings.Cut(report.RevocationDetail, "certificate 2")
		if tt.want == "" && detail != "" || !strings.Contains(detail, tt.want) {
			t.Errorf("%s: %s", name, detail)
		}
	}
}

// entryExtension returns a critical extension 2.5.29.n of an entry.
func entryExtension(n int) []pkix.Extension {
	return []pkix.Extension{{Id: asn1.ObjectIdentifier{2, 5, 29, n}, Critical: true, Value: []byte{0x30, 0x00}}}
}

// TestCRLPoints reads odd CRL distribution points.
func TestCRLPoints(t *testing.T) {
	for name, tt := range map[string]struct {
		value []byte
		urls  int
		fails bool
	}{
		"none":               {value: []byte{0x30, 0x00}},
		"relative name":      {value: []byte{0x30, 0x06, 0x30, 0x04, 0xA0, 0x02, 0xA1, 0x00}},
		"reasons":            {value: []byte{0x30, 0x06, 0x30, 0x04, 0x81, 0x02, 0x01, 0x40}},
		"one":                {value: []byte{0x30, 0x09, 0x30, 0x07, 0xA0, 0x05, 0xA0, 0x03, 0x86, 0x01, 'x'}, urls: 1},
		"issuer is no name":  {value: []byte{0x30, 0x06, 0x30, 0x04, 0xA2, 0x02, 0x86, 0x00}, fails: true},
		"surplus":            {value: []byte{0x30, 0x04, 0x30, 0x02, 0x84, 0x00}, fails: true},
		"behind the list":    {value: []byte{0x30, 0x00, 0x00}, fails: true},
		"cut":                {value: []byte{0x30, 0x05, 0x30}, fails: true},
		"not a list of them": {value: []byte{0x30, 0x02, 0x05, 0x00}, fails: true},
	} {
		cert := &x509.Certificate{Extensions: []pkix.Extension{{Id: asn1.ObjectIdentifier{2, 5, 29, 31}, Value: tt.value}}}
		urls, err := ekcert.CRLPoints(cert)
		if len(urls) != tt.urls || (err != nil) != tt.fails {
			t.Errorf("%s: %q, %v", name, urls, err)
		}
	}
}
