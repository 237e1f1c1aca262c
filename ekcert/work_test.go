package ekcert_test

import (
	"context"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/x509"
	"errors"
	"math/big"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/whiteglove/whiteglove/ekcert"
	"github.com/whiteglove/whiteglove/internal/cms/cmstest"
)

// hugeCAs returns n CA certificates with the name of m's issuing CA.
func hugeCAs(t *testing.T, n, bits int) []*x509.Certificate {
	t.Helper()
	var certs []*x509.Certificate
	for range n {
		der, err := cmstest.HugeCA("Intel CA", bits, 65537)
		if err != nil {
			t.Fatal(err)
		}
		cert, err := x509.ParseCertificate(der)
		if err != nil {
			t.Fatal(err)
		}
		certs = append(certs, cert)
	}
	return certs
}

// TestPublicKeyWork verifies a certificate beside issuers whose signatures take long to
// check.
func TestPublicKeyWork(t *testing.T) {
	m := newMaker(t, "Intel")
	ek := ekKey(t).Public()
	template := profile(t, intel)
	leaf := m.issue(t, ek, intel)
	huge := hugeCAs(t, 4, 65483)
	lost := sign(t, template, &x509.Certificate{Subject: huge[0].Subject}, ek, newECKey(t, elliptic.P256()))
	for name, tt := range map[string]struct {
		cert    *x509.Certificate
		issuers []*x509.Certificate
		want    error
	}{
		"large moduli":             {leaf, append([]*x509.Certificate{m.ca}, huge...), ekcert.ErrMalformed},
		"too many issuers":         {leaf, append([]*x509.Certificate{m.ca}, hugeCAs(t, 64, 2048)...), ekcert.ErrMalformed},
		"as large as is permitted": {lost, hugeCAs(t, 64, 8192), ekcert.ErrUntrusted},
		"beside the right one":     {leaf, append(hugeCAs(t, 63, 2048), m.ca), nil},
		"expired issuer":           {leaf, slices.Concat(hugeCAs(t, 40, 2048), []*x509.Certificate{withValidity(t, m, -2)}), ekcert.ErrUntrusted},
	} {
		t.Run(name, func(t *testing.T) {
			c := &ekcert.Client{Roots: ekcert.Roots{"INTC": m.roots()}}
			begin := time.Now()
			_, err := c.Verify(t.Context(), parsed(t, tt.cert.Raw, tt.issuers...), ek)
			if took := time.Since(begin); took > time.Second {
				t.Errorf("took %s", took)
			}
			if !errors.Is(err, tt.want) {
				t.Errorf("%v, want %v", err, tt.want)
			}
		})
	}
	for name, b := range map[string][]byte{"first": huge[0].Raw, "issuer": slices.Concat(leaf.Raw, huge[0].Raw)} {
		if _, err := ekcert.Parse(b); !errors.Is(err, ekcert.ErrMalformed) {
			t.Errorf("Parse, %s: %v", name, err)
		}
	}
	if certs := ekcert.SplitChain(slices.Concat(m.ca.Raw, huge[0].Raw)); len(certs) != 1 {
		t.Errorf("%d certificates in NV memory", len(certs))
	}
}

// withValidity returns a certificate like that of m's issuing CA, by another key, that
// expired some days ago.
func withValidity(t *testing.T, m *maker, days int) *x509.Certificate {
	t.Helper()
	key := newECKey(t, elliptic.P256())
	return sign(t, &x509.Certificate{
		SerialNumber: big.NewInt(4), Subject: m.ca.Subject, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().AddDate(0, 0, days-10), NotAfter: time.Now().AddDate(0, 0, days),
	}, &x509.Certificate{Subject: m.root.Subject}, key.Public(), newECKey(t, elliptic.P256()))
}

// TestExpiredIssuer checks that an issuer that has expired is told from a missing one.
func TestExpiredIssuer(t *testing.T) {
	m := newMaker(t, "Intel")
	ek := ekKey(t).Public()
	leaf := m.issue(t, ek, intel, func(c *x509.Certificate) { c.NotAfter = time.Now().AddDate(40, 0, 0) })
	c := &ekcert.Client{Roots: ekcert.Roots{"INTC": m.roots()}, Now: func() time.Time { return time.Now().AddDate(30, 0, 0) }}
	if _, err := c.Verify(t.Context(), parsed(t, leaf.Raw, m.ca), ek); !errors.Is(err, ekcert.ErrExpired) {
		t.Error(err)
	}
}

// TestImpossibleKeys verifies certificates for keys that no TPM has.
func TestImpossibleKeys(t *testing.T) {
	m := newMaker(t, "Intel")
	c := &ekcert.Client{Roots: ekcert.Roots{"INTC": m.roots()}, Intermediates: pool(m.ca)}
	n := ekKey(t).N
	for name, tt := range map[string]struct {
		key    *rsa.PublicKey
		refuse bool
	}{
		"N is 3":        {&rsa.PublicKey{N: big.NewInt(3), E: 65537}, true},
		"512 bits":      {&rsa.PublicKey{N: new(big.Int).SetBit(new(big.Int).SetBit(big.NewInt(1), 511, 1), 0, 1), E: 65537}, true},
		"2047 bits":     {&rsa.PublicKey{N: new(big.Int).SetBit(big.NewInt(1), 2046, 1), E: 65537}, true},
		"even N":        {&rsa.PublicKey{N: new(big.Int).SetBit(n, 0, 0), E: 65537}, true},
		"exponent is 1": {&rsa.PublicKey{N: n, E: 1}, true},
		"exponent is 2": {&rsa.PublicKey{N: n, E: 2}, true},
		"even exponent": {&rsa.PublicKey{N: n, E: 65538}, true},
		"8193 bits":     {&rsa.PublicKey{N: new(big.Int).SetBit(n, 8192, 1), E: 65537}, true},
		"exponent is 3": {&rsa.PublicKey{N: n, E: 3}, false},
		"2056 bits":     {&rsa.PublicKey{N: new(big.Int).SetBit(n, 2055, 1), E: 65537}, false},
	} {
		leaf := sign(t, profile(t, intel), m.ca, tt.key, m.key)
		report, err := c.Verify(t.Context(), &ekcert.Certificate{Certificate: leaf}, tt.key)
		if tt.refuse {
			if !errors.Is(err, ekcert.ErrMalformed) {
				t.Errorf("%s: %v", name, err)
			}
			continue
		}
		if err != nil || len(report.Findings) != 1 || report.Findings[0].ID != "unusual-key" || report.Findings[0].Severity != ekcert.Warning {
			t.Errorf("%s: %+v, %v", name, report, err)
		}
	}
	none := (*rsa.PublicKey)(nil)
	for name, key := range map[string]*rsa.PublicKey{"nil": none, "no N": {E: 65537}, "N is 0": {N: new(big.Int), E: 65537}, "N is negative": {N: new(big.Int).Neg(n), E: 65537}} {
		_, err := c.Enroll(t.Context(), &ekcert.Request{EK: key, Activate: func(context.Context, []byte, []byte) ([]byte, error) { return nil, nil }})
		if err == nil || !strings.Contains(err.Error(), "RSA key has no modulus") {
			t.Errorf("%s: %v", name, err)
		}
	}
	curve := newECKey(t, elliptic.P224()).Public()
	leaf := m.issue(t, curve, intel, func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageKeyAgreement })
	report, err := c.Verify(t.Context(), parsed(t, leaf.Raw), curve)
	if err != nil || len(report.Findings) != 1 || report.Findings[0].Detail != "ECDSA, P-224" {
		t.Errorf("P-224: %+v, %v", report, err)
	}
}

// TestNVEndsWithContext reads a chain from a TPM that never ends it.
func TestNVEndsWithContext(t *testing.T) {
	m := newMaker(t, "Intel")
	leaf := m.issue(t, ekKey(t).Public(), intel)
	ctx, cancel := context.WithCancel(t.Context())
	nv := endless{leaf.Raw, cancel, new(int)}
	c := &ekcert.Client{Roots: ekcert.Roots{"INTC": m.roots()}, Services: map[string]ekcert.Fetcher{}}
	if _, err := c.Find(ctx, nv, "INTC", ekKey(t).Public()); !errors.Is(err, context.Canceled) || *nv.reads != 5 {
		t.Errorf("%d reads, %v", *nv.reads, err)
	}
}

// An endless TPM has a certificate and empty indices of a chain. It ignores the
// context, which it cancels at the fifth read.
type endless struct {
	leaf   []byte
	cancel func()
	reads  *int
}

func (e endless) ReadNV(_ context.Context, index uint32) ([]byte, error) {
	if *e.reads++; *e.reads == 5 {
		e.cancel()
	}
	if index == 0x01C00002 {
		return e.leaf, nil
	}
	return nil, nil
}
