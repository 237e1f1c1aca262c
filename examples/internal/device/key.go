package device

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	"fmt"
)

// KeyName returns the kind of a public key in the words of the flags, such as
// "rsa2048" or "p384", or "unknown".
func KeyName(pub crypto.PublicKey) string {
	switch k := pub.(type) {
	case *rsa.PublicKey:
		return fmt.Sprintf("rsa%d", k.N.BitLen())
	case *ecdsa.PublicKey:
		return fmt.Sprintf("p%d", k.Curve.Params().BitSize)
	}
	return "unknown"
}
