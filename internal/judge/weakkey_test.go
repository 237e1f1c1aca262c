package judge_test

import (
	"crypto/rsa"
	"errors"
	"math/big"
	"testing"

	"github.com/whiteglove/whiteglove/attest"
	"github.com/whiteglove/whiteglove/ekcert"
	"github.com/whiteglove/whiteglove/internal/judge"
	"github.com/whiteglove/whiteglove/internal/wcce"
)

// TestWeakKey checks an attestation key with the fingerprint of CVE-2017-15361: its
// modulus leaves the remainder 1, which is a power of 65537, for each of the primes.
func TestWeakKey(t *testing.T) {
	product := big.NewInt(2)
	for _, p := range []int64{11, 13, 17, 19, 37, 53, 61, 71, 73, 79, 97, 103, 107, 109, 127, 151, 157} {
		product.Mul(product, big.NewInt(p))
	}
	n := new(big.Int).Lsh(big.NewInt(3), 2046)
	n.Sub(n, new(big.Int).Mod(n, product)).Add(n, big.NewInt(1))
	area, err := attest.EKPublicArea(&rsa.PublicKey{N: n, E: 65537})
	if err != nil {
		t.Fatal(err)
	}
	if err := judge.Check(&wcce.IDBinding{PublicArea: area}); !errors.Is(err, ekcert.ErrWeakKey) {
		t.Errorf("got %v", err)
	}
}
