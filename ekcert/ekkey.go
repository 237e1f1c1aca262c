package ekcert

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	"errors"
	"fmt"

	"github.com/whiteglove/whiteglove/internal/cms"
)

// minRSABits is the size of the smallest RSA key that is accepted. It is the smallest in
// the TCG's profile; much smaller keys can be factored.
const minRSABits = 2048

var errNoKey = errors.New("no endorsement key is given")

// isKey reports whether ek is a key and all of it is there.
func isKey(ek crypto.PublicKey) bool {
	switch k := ek.(type) {
	case nil:
		return false
	case *rsa.PublicKey:
		return k != nil && k.N != nil
	case *ecdsa.PublicKey:
		//lint:ignore SA1019 every method fails if a coordinate is missing
		return k != nil && k.Curve != nil && k.X != nil && k.Y != nil
	}
	return true
}

// possible checks that a key may be that of a TPM. It refuses RSA keys that are invalid,
// too small or too large.
func possible(ek crypto.PublicKey) error {
	k, ok := ek.(*rsa.PublicKey)
	if !ok {
		if !isKey(ek) {
			return errNoKey
		}
		return nil
	}
	switch {
	case !isKey(k) || k.N.Sign() <= 0:
		return errors.New("RSA key has no modulus")
	case k.N.BitLen() < minRSABits:
		return fmt.Errorf("RSA key has %d bits, fewer than %d", k.N.BitLen(), minRSABits)
	case k.N.Bit(0) == 0:
		return errors.New("RSA key has an even modulus")
	case k.E < 3 || k.E%2 == 0:
		return fmt.Errorf("RSA key has the exponent %d", k.E)
	}
	return cms.CheckKey(k)
}

// unusual describes a key that is not of a kind in the TCG's profile, which are RSA of
// 2048, 3072 or 4096 bits with the exponent 65537, and ECDSA on P-256, P-384 and P-521.
// It returns "" for a key of these kinds.
func unusual(ek crypto.PublicKey) string {
	switch k := ek.(type) {
	case *rsa.PublicKey:
		if len(indices(k)) == 0 || k.E != 65537 {
			return fmt.Sprintf("RSA, %d bits, exponent %d", k.N.BitLen(), k.E)
		}
	case *ecdsa.PublicKey:
		if len(indices(k)) == 0 {
			return "ECDSA, " + k.Curve.Params().Name
		}
	}
	return ""
}
