package wcce

import (
	"crypto/x509"
	"encoding/asn1"
	"slices"
)

// IsTPMKey reports whether cert is the certificate of a TPM's endorsement or
// attestation key, by its extended key usage (TCG EK Credential Profile, section
// 3.2.16). A CA certificate is not one, even if it has that usage because it may
// only issue such certificates.
//
// Anyone who owns a TPM may hold such a certificate under a root that is trusted for
// them. Therefore its holder must not be accepted as a CA or a registration
// authority, whatever other usages the certificate has.
func IsTPMKey(cert *x509.Certificate) bool {
	return !cert.IsCA && slices.ContainsFunc(cert.UnknownExtKeyUsage, func(id asn1.ObjectIdentifier) bool {
		return id.Equal(OIDKeyPurposeEK) || id.Equal(OIDKeyPurposeAIK)
	})
}
