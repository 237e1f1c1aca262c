package scep_test

import (
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"math/big"
	"testing"
	"time"

	"github.com/whiteglove/whiteglove/internal/cms"
	"github.com/whiteglove/whiteglove/internal/pkimsg"
	"github.com/whiteglove/whiteglove/scep"
	"github.com/whiteglove/whiteglove/scep/sceptest"
)

// TestFetchIsChecked sends answers to GetCert and GetCRL with one fault each.
func TestFetchIsChecked(t *testing.T) {
	t.Parallel()
	f, foreign := newForger(t), newForger(t)
	f.caps = "SCEPStandard"
	serial := big.NewInt(7)
	issue := func(by *sceptest.Authority, n int64) *x509.Certificate {
		c, err := by.Issue(&x509.Certificate{Subject: pkix.Name{CommonName: "leaf"}, SerialNumber: big.NewInt(n)}, testKey().Public())
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	list := func(by *sceptest.Authority, age time.Duration) *x509.RevocationList {
		der, err := x509.CreateRevocationList(rand.Reader, &x509.RevocationList{
			Number: big.NewInt(1), ThisUpdate: time.Now().Add(-age), NextUpdate: time.Now().Add(time.Hour - age),
		}, by.Certificate, by.Key)
		if err != nil {
			t.Fatal(err)
		}
		l, err := x509.ParseRevocationList(der)
		if err != nil {
			t.Fatal(err)
		}
		return l
	}
	made := func(certs []*x509.Certificate, lists ...*x509.RevocationList) []byte {
		der, err := cms.Bag(certs, lists...)
		if err != nil {
			t.Fatal(err)
		}
		return der
	}
	ca := f.authority
	other := &sceptest.Authority{Certificate: selfCA(t), Key: testKey()}
	leaf := issue(ca, 7)
	c := start(t, f, f.roots())
	known := asked(t, c)
	who := &scep.Request{Signer: testKey()}
	for name, tt := range map[string]struct {
		content []byte
		cert    error // of GetCert
		crl     error // of GetCRL
		status  int
	}{
		"right certificate":       {made([]*x509.Certificate{ca.Certificate, leaf}), nil, scep.ErrMalformed, 0},
		"another number":          {made([]*x509.Certificate{issue(ca, 8)}), scep.ErrMismatch, scep.ErrMalformed, 0},
		"another CA, same name":   {made([]*x509.Certificate{issue(foreign.authority, 7)}), scep.ErrUntrusted, scep.ErrMalformed, 0},
		"another CA, other name":  {made([]*x509.Certificate{issue(other, 7)}), scep.ErrMismatch, scep.ErrMalformed, 0},
		"right list":              {made(nil, list(ca, 0)), scep.ErrMalformed, nil, 0},
		"second list":             {made(nil, list(other, 0), list(ca, 0)), scep.ErrMalformed, nil, 0},
		"list of another CA":      {made(nil, list(foreign.authority, 0)), scep.ErrMalformed, scep.ErrUntrusted, 0},
		"list of another name":    {made(nil, list(other, 0)), scep.ErrMalformed, scep.ErrMismatch, 0},
		"list of yesterday":       {made(nil, list(ca, 24*time.Hour)), scep.ErrMalformed, scep.ErrUntrusted, 0},
		"list of tomorrow":        {made(nil, list(ca, -24*time.Hour)), scep.ErrMalformed, scep.ErrUntrusted, 0},
		"list, clock a bit ahead": {made(nil, list(ca, -time.Minute)), scep.ErrMalformed, nil, 0},
		"nothing":                 {made(nil), scep.ErrMalformed, scep.ErrMalformed, 0},
		"no bag":                  {[]byte("hello"), scep.ErrMalformed, scep.ErrMalformed, 0},
		"pending":                 {nil, scep.ErrMismatch, scep.ErrMismatch, 3},
	} {
		f.fetch = func() []byte { return tt.content }
		f.info = func(i *pkimsg.Info) { i.Status = tt.status }
		got, err := c.GetCert(t.Context(), known, who, serial)
		if !errors.Is(err, tt.cert) || (err == nil) != (tt.cert == nil) || (got == nil) != (err != nil) {
			t.Errorf("%s: GetCert: %v, want %v", name, err, tt.cert)
		}
		crl, err := c.GetCRL(t.Context(), known, who, leaf)
		if !errors.Is(err, tt.crl) || (err == nil) != (tt.crl == nil) || (crl == nil) != (err != nil) {
			t.Errorf("%s: GetCRL: %v, want %v", name, err, tt.crl)
		}
	}
}

// selfCA returns a self-signed CA certificate of testKey.
func selfCA(t testing.TB) *x509.Certificate {
	t.Helper()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "self"}, KeyUsage: x509.KeyUsageCRLSign | x509.KeyUsageCertSign,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
		SubjectKeyId: []byte{1},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, testKey().Public(), testKey())
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return cert
}
