package ekcert

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"testing"
	"time"
)

// signer returns a CA certificate with its key.
func signer(t *testing.T, name string) (*x509.Certificate, *ecdsa.PrivateKey) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, KeyUsage: x509.KeyUsageCRLSign,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
	}, &x509.Certificate{Subject: pkix.Name{CommonName: name}}, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(raw)
	if err != nil {
		t.Fatal(err)
	}
	return cert, key
}

// An indirect CRL needs the signature of one of those with its issuer's name.
func TestIndirectSignature(t *testing.T) {
	cert, _ := signer(t, "issuer")
	right, key := signer(t, "CRL issuer")
	wrong, _ := signer(t, "CRL issuer")
	raw, err := x509.CreateRevocationList(rand.Reader, &x509.RevocationList{
		Number: big.NewInt(1), ThisUpdate: time.Now(), NextUpdate: time.Now().Add(time.Hour),
	}, right, key)
	if err != nil {
		t.Fatal(err)
	}
	list, err := x509.ParseRevocationList(raw)
	if err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		signers []*x509.Certificate
		ok      bool
	}{
		"right":            {[]*x509.Certificate{right}, true},
		"wrong":            {[]*x509.Certificate{wrong}, false},
		"wrong, right":     {[]*x509.Certificate{wrong, right}, true},
		"right, wrong":     {[]*x509.Certificate{right, wrong}, true},
		"nobody":           {nil, false},
		"none of the name": {nil, false},
	} {
		check := &crlCheck{cert: cert, issuer: cert, point: crlPoint{issuer: right.RawSubject}, signers: func([]byte) []*x509.Certificate { return tt.signers }}
		if name == "none of the name" {
			check.point.issuer = cert.RawSubject[:4]
		}
		if err := check.checkSignature(list); (err == nil) != tt.ok {
			t.Errorf("%s: %v", name, err)
		}
	}
}
