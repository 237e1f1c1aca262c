package wcce

import "encoding/asn1"

// Object identifiers that enrollment uses: those of wincrypt.h (szOID_…), of the
// X.509 extensions that requests ask for, and of the TCG for names and purposes of
// TPM keys (TCG EK Credential Profile). They must not be changed.
var (
	OIDOSVersion   = asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 311, 13, 2, 3}
	OIDCSPProvider = asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 311, 13, 2, 2}

	OIDClientInfo      = microsoft(20) // REQUEST_CLIENT_INFO
	OIDEKInfo          = microsoft(23) // ENROLL_EK_INFO
	OIDAttestation     = microsoft(24) // ENROLL_ATTESTATION_STATEMENT
	OIDKSPName         = microsoft(25) // ENROLL_KSP_NAME
	OIDChallenge       = microsoft(28) // ENROLL_ATTESTATION_CHALLENGE
	OIDEKVerifyKey     = microsoft(30) // issuance policy: the EK is on the administrator's list
	OIDEKVerifyCert    = microsoft(31) // issuance policy: the EK certificate was verified
	OIDEKVerifyCreds   = microsoft(32) // issuance policy: the EK is trusted on the user's word
	OIDServerState     = microsoft(34) // ENROLL_SCEP_SERVER_STATE
	OIDChallengeAnswer = microsoft(35) // ENROLL_SCEP_CHALLENGE_ANSWER
	OIDRAEncryption    = microsoft(36) // extended key usage of RA encryption certificates
	OIDKeyAffinity     = microsoft(41) // ENROLL_KEY_AFFINITY
	OIDSignerHash      = microsoft(42) // ENROLL_SCEP_SIGNER_HASH

	OIDExtensionRequest = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 14}
	OIDSubjectAltName   = asn1.ObjectIdentifier{2, 5, 29, 17}
	OIDSubjectKeyID     = asn1.ObjectIdentifier{2, 5, 29, 14}
	OIDSHA256           = asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 1}

	OIDKeyPurposeEK  = asn1.ObjectIdentifier{2, 23, 133, 8, 1} // tcg-kp-EKCertificate
	OIDKeyPurposeAIK = asn1.ObjectIdentifier{2, 23, 133, 8, 3} // tcg-kp-AIKCertificate

	OIDTPMManufacturer = asn1.ObjectIdentifier{2, 23, 133, 2, 1}
	OIDTPMModel        = asn1.ObjectIdentifier{2, 23, 133, 2, 2}
	OIDTPMVersion      = asn1.ObjectIdentifier{2, 23, 133, 2, 3}
)

// microsoft returns an object identifier of Microsoft's certificate services.
func microsoft(n int) asn1.ObjectIdentifier {
	return asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 311, 21, n}
}
