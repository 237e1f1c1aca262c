package attest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"math/big"
	"testing"
)

// Two ways to write the usual exponent are the same template; another exponent is not, and
// the unique part does not count.
func TestSameTemplate(t *testing.T) {
	with := func(exponent uint32, fill byte) *area {
		a := ekL1()
		a.exponent = exponent
		a.n = make([]byte, 256)
		a.n[0] = fill
		return a
	}
	for name, tt := range map[string]struct {
		key, template *area
		same          bool
	}{
		"the same":                 {with(0, 0), with(0, 0), true},
		"another key":              {with(0, 1), with(0, 0), true},
		"65537 in the key":         {with(65537, 0), with(0, 0), true},
		"65537 in the template":    {with(0, 0), with(65537, 0), true},
		"exponent 3":               {with(3, 0), with(0, 0), false},
		"exponent 3, and 65537":    {with(3, 0), with(65537, 0), false},
		"exponent 3 in both":       {with(3, 0), with(3, 0), true},
		"another kind of template": {with(0, 0), ekH1(), false},
	} {
		if got := sameTemplate(tt.key.marshal(), *tt.template); got != tt.same {
			t.Errorf("%s: %v", name, got)
		}
	}
	if sameTemplate(nil, *ekL1()) {
		t.Error("nothing is a template")
	}
}

// A nonce is as long as the key at most.
func TestSetNonce(t *testing.T) {
	for name, tt := range map[string]struct {
		template *area
		size     int
		ok       bool
	}{
		"RSA, short": {ekL1(), 1, true}, "RSA, full": {ekL1(), 256, true}, "RSA, too long": {ekL1(), 257, false},
		"P-256, short": {ekL2(), 1, true}, "P-256, full": {ekL2(), 32, true}, "P-256, too long": {ekL2(), 33, false},
	} {
		nonce := make([]byte, tt.size)
		nonce[0] = 7
		ok := tt.template.setNonce(nonce)
		first := append(tt.template.n, tt.template.x...)
		if ok != tt.ok || ok && first[0] != 7 {
			t.Errorf("%s: %v, %x", name, ok, first[:min(1, len(first))])
		}
	}
}

// DefaultEK knows a template for each kind of key, and a handle only if the TCG reserves one.
func TestDefaultEKs(t *testing.T) {
	for bits, handle := range map[int]bool{2048: true, 3072: true, 4096: true} {
		pub := &rsa.PublicKey{N: new(big.Int).SetBit(big.NewInt(1), bits-1, 1), E: 65537}
		if ek, err := DefaultEK(pub); err != nil || (ek.Handle != 0) != handle {
			t.Errorf("RSA of %d bits: %+v, %v", bits, ek, err)
		}
	}
	for _, curve := range []elliptic.Curve{elliptic.P256(), elliptic.P384(), elliptic.P521()} {
		key, err := ecdsa.GenerateKey(curve, rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		if ek, err := DefaultEK(key.Public()); err != nil || ek.CertificateIndex == 0 {
			t.Errorf("%s: %+v, %v", curve.Params().Name, ek, err)
		}
	}
}
