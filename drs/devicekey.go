package drs

import (
	"crypto"
	"crypto/rsa"
	"errors"
	"fmt"
)

// keyBits is the size of a device key.
const keyBits = 2048

// deviceKey returns the public part of a device key, which must be RSA with
// 2048 bits.
func deviceKey(key crypto.Signer) (*rsa.PublicKey, error) {
	if key == nil {
		return nil, errors.New("no device key")
	}
	pub, ok := key.Public().(*rsa.PublicKey)
	if !ok {
		return nil, fmt.Errorf("device key is %T, not RSA", key.Public())
	}
	if n := pub.N.BitLen(); n != keyBits {
		return nil, fmt.Errorf("device key has %d bits, not %d", n, keyBits)
	}
	return pub, nil
}
