package wire_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"math/big"
	"testing"

	"github.com/whiteglove/whiteglove/internal/wire"
)

func TestKeyKind(t *testing.T) {
	for want, pub := range map[string]crypto.PublicKey{
		"missing":                        nil,
		"an RSA key of 8 bits":           &rsa.PublicKey{N: big.NewInt(255)},
		"a key of type *rsa.PublicKey":   &rsa.PublicKey{},
		"an ECDSA key on P-384":          &ecdsa.PublicKey{Curve: elliptic.P384()},
		"a key of type *ecdsa.PublicKey": (*ecdsa.PublicKey)(nil),
		"an Ed25519 key":                 ed25519.PublicKey{},
		"a key of type string":           "x",
	} {
		if got := wire.KeyKind(pub); got != want {
			t.Errorf("%q, not %q", got, want)
		}
	}
}
