package device

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	"errors"
	"fmt"

	"github.com/google/go-tpm/tpm2"

	"github.com/whiteglove/whiteglove/attest"
	"github.com/whiteglove/whiteglove/examples/internal/command"
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

// Kept returns err, with which a TPM did not load the kept key that where names: wrong usage
// if the file has no such key, or one of another TPM. again says how to come to a new one.
func Kept(where string, err error, again string) error {
	var e *attest.Error
	switch {
	case errors.Is(err, tpm2.TPMRCIntegrity):
		return command.Wrong(where, &advised{err, "Give the -tpm that made the key. If that TPM was cleared or replaced, " + again + "."})
	case errors.As(err, &e) && e.Op == "LoadKey" && !errors.Is(err, attest.ErrNoAnswer):
		return command.Wrong(where, err)
	}
	return command.At(where, err)
}
