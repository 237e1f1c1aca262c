package aik

import (
	"crypto"
	"encoding/hex"

	"github.com/whiteglove/whiteglove/attest"
)

// windowsPolicy is the digest of the authorization policy of the attestation keys of
// Windows, a constant of its key storage provider. What the policy demands is not
// published. The keys are used with their empty authorization value, without it.
const windowsPolicy = "9dffcbf36c383ae699fb9868dc6dcb89d7153884be2803922c124158bfad22ae"

// WindowsTemplate returns the template of the attestation keys of Windows, for a CA
// that accepts no others: RSA 2048 with RSASSA and SHA-1, and the authorization policy
// of Windows's key storage provider. Some verifiers refuse SHA-1 signatures. Where the
// CA accepts it, use attest.Template{Usage: attest.Attest} instead, which signs with
// SHA-256.
func WindowsTemplate() attest.Template {
	policy, _ := hex.DecodeString(windowsPolicy) // never fails
	return attest.Template{Algorithm: attest.RSA2048, Usage: attest.Attest, Hash: crypto.SHA1, AuthPolicy: policy}
}
