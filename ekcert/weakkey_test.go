package ekcert_test

import (
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"errors"
	"math/big"
	"slices"
	"testing"

	"github.com/whiteglove/whiteglove/ekcert"
	"github.com/whiteglove/whiteglove/internal/roca"
)

// weakKey returns a key of 2048 bits that is a power of 65537 modulo each prime of the
// fingerprint, like the keys of the weak library. If but is set, it is not one modulo
// the last prime.
func weakKey(t *testing.T, but bool) *rsa.PublicKey {
	t.Helper()
	primes := roca.Primes()
	n, product := big.NewInt(1), big.NewInt(2) // odd
	for i, p := range primes {
		want := int64(65537 % p)
		if but && i == len(primes)-1 {
			want = 0
		}
		for new(big.Int).Mod(n, new(big.Int).SetUint64(p)).Int64() != want {
			n.Add(n, product)
		}
		product.Mul(product, new(big.Int).SetUint64(p))
	}
	high := new(big.Int).Lsh(big.NewInt(3), 2046)
	more, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 1000))
	if err != nil {
		t.Fatal(err)
	}
	high.Add(high, more)
	high.Sub(high, new(big.Int).Mod(high, product))
	return &rsa.PublicKey{N: n.Add(n, high), E: 65537}
}

// TestROCA checks the fingerprint of CVE-2017-15361.
func TestROCA(t *testing.T) {
	for name, tt := range map[string]struct {
		key  *rsa.PublicKey
		want bool
	}{
		"weak": {weakKey(t, false), true}, "all but one": {weakKey(t, true), false}, "good": {&ekKey(t).PublicKey, false},
		"Skylake": {rsaKey(t, skylake), false}, "Cannon Lake": {rsaKey(t, cannonLake), false}, "AMD": {rsaKey(t, amdRenoir), false},
	} {
		if got := roca.Weak(tt.key); got != tt.want {
			t.Errorf("%s: %v", name, got)
		}
	}
	for _, none := range []any{nil, "no key", (*rsa.PublicKey)(nil), &rsa.PublicKey{}, newECKey(t, elliptic.P256()).Public()} {
		if roca.Weak(none) {
			t.Errorf("%T is weak", none)
		}
	}
}

// TestWeakKeyIsRefused uses certificates of a firmware that makes weak keys: for such a
// key, and for one that is not weak.
func TestWeakKeyIsRefused(t *testing.T) {
	m := newMaker(t, "Infineon")
	c := &ekcert.Client{Roots: ekcert.Roots{"IFX": m.roots()}, Intermediates: pool(m.ca)}
	verify := func(key *rsa.PublicKey) (*ekcert.Report, error) {
		leaf := m.issue(t, key, "id:49465800", func(c *x509.Certificate) {
			c.ExtraExtensions[0] = oneRDN(t, "id:49465800", "SLB9665", "id:00050033")
		})
		return c.Verify(t.Context(), parsed(t, leaf.Raw), key)
	}
	_, err := verify(weakKey(t, false))
	var e *ekcert.Error
	if !errors.Is(err, ekcert.ErrWeakKey) || !errors.As(err, &e) || e.HRESULT() != 0x81039024 || e.Retryable() || e.Remedy() == "" {
		t.Errorf("weak: %v", err)
	}
	report, err := verify(&ekKey(t).PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	want := []ekcert.Finding{{
		ID: "firmware-advisory", Severity: ekcert.Warning, CVE: "CVE-2017-15361",
		Detail: "firmware id:00050033: its RSA keys can be broken (ROCA); fixed in a later version; keys must be replaced",
	}}
	if !slices.Equal(report.Findings, want) {
		t.Errorf("%+v", report.Findings)
	}
}

// TestAdvisories checks versions at both sides of each limit.
func TestAdvisories(t *testing.T) {
	const infineon, stm, intel, nuvoton = "CVE-2017-15361", "CVE-2019-16863", "CVE-2019-11090", "CVE-2023-1017"
	for _, tt := range []struct{ vendor, version, want string }{
		{"IFX", "4.33", infineon},
		{"IFX", "4.34", ""},
		{"IFX", "4.39.1.2", ""},
		{"IFX", "4.40.119.0", infineon},
		{"IFX", "4.42", infineon},
		{"IFX", "4.43", ""},
		{"IFX", "5.61.2785.0", infineon},
		{"IFX", "5.62.3126.0", ""},
		{"IFX", "6.42", infineon},
		{"IFX", "6.43.243.0", ""},
		{"id:49465800", "7.61", infineon},
		{"IFX", "7.62.3126.0", ""},
		{"IFX", "id:0728", infineon},
		{"IFX", "id:00070055", ""},
		{"IFX", "id:00070028", infineon},
		{"IFX", "133.32", infineon},
		{"IFX", "133.33", ""},
		{"IFX", "15.21.1.0", "CVE-2025-2884"},
		{"IFX", "15.23.1.0", ""},
		{"IFX", "15.20", ""},
		{"STM", "71.4", stm},
		{"STM", "71.16", ""},
		{"STM", "73.9.0.0", stm},
		{"STM", "74.16", stm},
		{"STM", "74.20", ""},
		{"STM ", "id:00490004", stm},
		{"STM", "72.0", ""},
		{"INTC", "11.8.50.3399", intel},
		{"INTC", "11.8.65.3590", ""},
		{"INTC", "11.8", ""},
		{"INTC", "11.7", intel},
		{"INTC", "11.22.64.1", intel},
		{"INTC", "11.22.65.1", ""},
		{"INTC", "12.0.34.1", intel},
		{"INTC", "12.0.35.1427", ""},
		{"INTC", "13.0.1200.1", intel},
		{"INTC", "14.0.9.1", intel},
		{"INTC", "14.0.10.1", ""},
		{"INTC", "3.1.64.1", intel},
		{"INTC", "4.0.14.1", intel},
		{"INTC", "4.0.15.1", ""},
		{"INTC", "4.1.4.296", intel},
		{"INTC", "4.1.4.297", ""},
		{"INTC", "15.0.1.1", ""},
		{"INTC", "id:00020000", ""},
		{"NTC", "1.3.2.8", nuvoton},
		{"NTC", "1.3.2.20", ""},
		{"NTC", "1.3.2.9", ""},
		{"NTC", "1.3", ""},
		{"NTC", "id:00010003", ""},
		{"AMD", "3.92.0.5", ""},
		{"", "7.40", ""},
		{"IFX", "", ""},
		{"IFX", "id:13", ""},
		{"IFX", "id:xy", ""},
		{"IFX", "7.40.1.2.3", ""},
		{"IFX", "7.x", ""},
	} {
		got := ""
		for _, f := range ekcert.Advisories(tt.vendor, tt.version) {
			got += f.CVE
			if f.ID != "firmware-advisory" || f.Severity != ekcert.Warning || f.Detail == "" {
				t.Errorf("%+v", f)
			}
		}
		if got != tt.want {
			t.Errorf("%s %s: %q, want %q", tt.vendor, tt.version, got, tt.want)
		}
	}
}

// TestNoAdviceForECC checks that only RSA keys can have the fingerprint.
func TestNoAdviceForECC(t *testing.T) {
	m := newMaker(t, "Intel")
	key := newECKey(t, elliptic.P256()).Public()
	c := &ekcert.Client{Roots: ekcert.Roots{"INTC": m.roots()}, Intermediates: pool(m.ca)}
	report, err := c.Verify(t.Context(), parsed(t, m.issue(t, key, intel).Raw), key)
	if err != nil || len(report.Findings) != 1 || report.Findings[0].ID != "key-usage" {
		t.Errorf("%v, %+v", err, report)
	}
}
