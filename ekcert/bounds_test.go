package ekcert

import (
	"context"
	"crypto/ed25519"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"math/big"
	"reflect"
	"slices"
	"strings"
	"testing"

	"golang.org/x/crypto/cryptobyte"
)

// Names of distribution points and issuers, and what is behind them.
func TestPointNames(t *testing.T) {
	list := func(n int) []byte { return slices.Repeat([]byte{0x86, 1, 'x'}, n) }
	for name, tt := range map[string]struct {
		in   []byte
		ok   bool
		urls int
	}{
		"one":             {[]byte{0xA0, 3, 0x86, 1, 'x'}, true, 1},
		"16":              {append([]byte{0xA0, 48}, list(16)...), true, 16},
		"17":              {append([]byte{0xA0, 51}, list(17)...), true, 16},
		"a host":          {[]byte{0xA0, 3, 0x82, 1, 'x'}, true, 0},
		"bytes behind":    {[]byte{0xA0, 3, 0x86, 1, 'x', 5, 0}, false, 0},
		"cut":             {[]byte{0xA0, 4, 0x86, 1, 'x'}, false, 0},
		"a cut name":      {[]byte{0xA0, 3, 0x86, 2, 'x'}, false, 0},
		"relative to one": {[]byte{0xA1, 0}, true, 0},
	} {
		var urls []string
		if ok := readPointName(cryptobyte.String(tt.in), &urls); ok != tt.ok || ok && len(urls) != tt.urls {
			t.Errorf("%s: %v, %q", name, ok, urls)
		}
	}
	for name, tt := range map[string]struct {
		in   []byte
		want string
	}{
		"a name":              {[]byte{0xA4, 2, 0x30, 0}, "\x30\x00"},
		"behind another kind": {[]byte{0x86, 1, 'x', 0xA4, 2, 0x30, 0}, "\x30\x00"},
		"no SEQUENCE":         {[]byte{0xA4, 2, 5, 0}, ""},
		"of another kind":     {[]byte{0xA3, 2, 0x30, 0}, ""},
		"cut":                 {[]byte{0xA4, 3, 0x30, 0}, ""},
	} {
		if got := directory(tt.in); string(got) != tt.want {
			t.Errorf("%s: %x", name, got)
		}
		whole := append([]byte{0x30, byte(len(tt.in))}, tt.in...)
		if got := entryIssuer(whole); string(got) != tt.want {
			t.Errorf("%s: in an entry: %x", name, got)
		}
		if got := entryIssuer(append(whole, 0)); got != nil {
			t.Errorf("%s: a byte behind: %x", name, got)
		}
	}
	if new(crl).readScope([]byte{0x30, 0, 0}) || !new(crl).readScope([]byte{0x30, 0}) {
		t.Error("a byte behind the scope")
	}
}

// Which extensions of an entry make it unclear whom it is about.
func TestEntries(t *testing.T) {
	cert := &x509.Certificate{SerialNumber: big.NewInt(1), RawIssuer: []byte{0x30, 0}}
	named := []byte{0x30, 4, 0xA4, 2, 0x30, 0}
	for name, tt := range map[string]struct {
		ext      pkix.Extension
		indirect bool
		fails    bool
	}{
		"unknown":                 {pkix.Extension{Id: asn1.ObjectIdentifier{1, 2, 3}}, false, false},
		"unknown and critical":    {pkix.Extension{Id: asn1.ObjectIdentifier{1, 2, 3}, Critical: true}, false, true},
		"critical reason":         {pkix.Extension{Id: oidReasonCode, Critical: true}, false, false},
		"critical date":           {pkix.Extension{Id: oidInvalidityDate, Critical: true}, false, false},
		"issuer":                  {pkix.Extension{Id: oidCertificateIssuer, Critical: true, Value: named}, true, false},
		"issuer, not indirect":    {pkix.Extension{Id: oidCertificateIssuer, Critical: true, Value: named}, false, true},
		"issuer cannot be read":   {pkix.Extension{Id: oidCertificateIssuer, Critical: true, Value: []byte{0x30}}, true, true},
		"issuer with bytes after": {pkix.Extension{Id: oidCertificateIssuer, Critical: true, Value: append(named, 0)}, true, true},
	} {
		entry := x509.RevocationListEntry{SerialNumber: big.NewInt(9), Extensions: []pkix.Extension{tt.ext}}
		c := &crl{RevocationList: &x509.RevocationList{RawIssuer: cert.RawIssuer, RevokedCertificateEntries: []x509.RevocationListEntry{entry}}, indirect: tt.indirect}
		if found, err := c.find(cert); found != nil || (err != nil) != tt.fails {
			t.Errorf("%s: %v, %v", name, found, err)
		}
	}
}

// A certificate of version 1 is no attribute certificate.
func TestVersion1(t *testing.T) {
	der := []byte{0x30, 11, 0x30, 9, 2, 1, 1, 0x30, 4, 6, 2, 0x2A, 3}
	if isAttributeCertificate(der) {
		t.Error("version 1")
	}
	der[9] = 0xA0
	if !isAttributeCertificate(der) {
		t.Error("holder")
	}
	if usage(0) != "none" || usage(1) != "bits 0x0001" {
		t.Error(usage(0), usage(1))
	}
	none := func(context.Context) ([][]byte, error) { return nil, nil } // this machine may keep some
	_, err := (&Client{SystemStore: none}).Find(t.Context(), nil, "", ed25519.PublicKey{1})
	if err == nil || !strings.HasSuffix(err.Error(), ErrNotFound.Error()) {
		t.Error(err)
	}
}

// A chain with a name constraint of any kind is not remembered, and nobody's is.
func TestConstrained(t *testing.T) {
	if constrained(new(x509.Certificate)) {
		t.Error("a certificate without constraints has some")
	}
	for _, name := range []string{
		"PermittedDNSDomains", "ExcludedDNSDomains", "PermittedIPRanges", "ExcludedIPRanges",
		"PermittedEmailAddresses", "ExcludedEmailAddresses", "PermittedURIDomains", "ExcludedURIDomains",
	} {
		cert := new(x509.Certificate)
		field := reflect.ValueOf(cert).Elem().FieldByName(name)
		field.Set(reflect.MakeSlice(field.Type(), 0, 0))
		if !constrained(cert) {
			t.Errorf("%s is no constraint", name)
		}
	}
}
