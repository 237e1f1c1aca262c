package wire

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"fmt"
)

// KeyKind says in words of what kind a public key is, for errors: "an RSA key of 2048
// bits", "an ECDSA key on P-256", "an Ed25519 key", "missing", or "a key of type" and
// the Go type.
func KeyKind(pub crypto.PublicKey) string {
	switch k := pub.(type) {
	case nil:
		return "missing"
	case *rsa.PublicKey:
		if k != nil && k.N != nil {
			return fmt.Sprintf("an RSA key of %d bits", k.N.BitLen())
		}
	case *ecdsa.PublicKey:
		if k != nil && k.Curve != nil {
			return "an ECDSA key on " + k.Curve.Params().Name
		}
	case ed25519.PublicKey:
		return "an Ed25519 key"
	}
	return fmt.Sprintf("a key of type %T", pub)
}
