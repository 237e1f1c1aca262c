package aik

import (
	"crypto"
	"encoding/hex"

	"github.com/whiteglove/whiteglove/attest"
)

// windowsPolicy is the authorization policy of the attestation keys of Windows,
// a constant of its key storage provider. What it demands is not published; the
// keys are used by their empty authorization value, so it is never fulfilled.
const windowsPolicy = "9dffcbf36c383ae699fb9868dc6dcb89d7153884be2803922c124158bfad22ae"

// WindowsTemplate returns the template of the attestation keys of Windows, for a
// CA that takes no others: RSA 2048 with RSASSA and SHA-1, and the authorization
// policy of its provider. The signatures of such a key are SHA-1's, which some
// verifiers refuse; the key of a plain attest.Template{Usage: attest.Attest},
// with SHA-256, is to be preferred where the CA takes it.
func WindowsTemplate() attest.Template {
	policy, _ := hex.DecodeString(windowsPolicy) // never fails
	return attest.Template{Algorithm: attest.RSA2048, Usage: attest.Attest, Hash: crypto.SHA1, AuthPolicy: policy}
}
