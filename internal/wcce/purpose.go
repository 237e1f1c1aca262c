package wcce

import (
	"crypto/x509"
	"encoding/asn1"
	"slices"
)

// IsTPMKey reports whether cert is that of a TPM's endorsement or attestation
// key, by its extended key usage (TCG EK Credential Profile, 3.2.16). Many
// strangers hold such a certificate under a root that is trusted for them: who
// shows one is no CA and no registration authority, whatever else it may be used
// for. A CA's certificate is none, though it may be limited to issuing them.
func IsTPMKey(cert *x509.Certificate) bool {
	return !cert.IsCA && slices.ContainsFunc(cert.UnknownExtKeyUsage, func(id asn1.ObjectIdentifier) bool {
		return id.Equal(OIDKeyPurposeEK) || id.Equal(OIDKeyPurposeAIK)
	})
}
