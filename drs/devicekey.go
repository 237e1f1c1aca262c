package drs

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"

	"github.com/whiteglove/whiteglove/internal/misuse"
	"github.com/whiteglove/whiteglove/internal/wire"
)

// keyBits is the size of an RSA device key, in bits.
const keyBits = 2048

// A publicKey is an *rsa.PublicKey or *ecdsa.PublicKey.
type publicKey interface {
	Equal(other crypto.PublicKey) bool
}

// deviceKey returns the public key of a device key, which must be an RSA key of 2048 bits
// or a key on P-256.
func deviceKey(key crypto.Signer) (publicKey, error) {
	if key == nil {
		return nil, misuse.Errorf("no device key")
	}
	switch pub := key.Public().(type) {
	case *rsa.PublicKey:
		if n := pub.N.BitLen(); n != keyBits {
			return nil, misuse.Errorf("device key has %d bits, not %d", n, keyBits)
		}
		return pub, nil
	case *ecdsa.PublicKey:
		if pub.Curve != elliptic.P256() {
			return nil, misuse.Errorf("device key is not on P-256")
		}
		return pub, nil
	}
	return nil, misuse.Errorf("the device key is %s: make an RSA key of 2048 bits, or one on P-256", wire.KeyKind(key.Public()))
}

// isEC reports whether a device key is on a curve.
func isEC(key crypto.Signer) bool {
	if key == nil {
		return false
	}
	_, ok := key.Public().(*ecdsa.PublicKey)
	return ok
}
