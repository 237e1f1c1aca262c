package drs

import (
	"crypto"
	"crypto/rsa"
	"errors"
	"fmt"
)

// keyBits is the size of a device key, in bits.
const keyBits = 2048

// deviceKey returns the public key of a device key, which must be an RSA key of 2048
// bits.
func deviceKey(key crypto.Signer) (*rsa.PublicKey, error) {
	if key == nil {
		return nil, errors.New("no device key")
	}
	pub, ok := key.Public().(*rsa.PublicKey)
	if !ok {
		return nil, fmt.Errorf("device key is a %T, not an RSA key", key.Public())
	}
	if n := pub.N.BitLen(); n != keyBits {
		return nil, fmt.Errorf("device key has %d bits, not %d", n, keyBits)
	}
	return pub, nil
}
