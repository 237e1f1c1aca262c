// Package pkimsg reads and writes the pkiMessage of SCEP (RFC 8894, section
// 3.2): a SignedData around an EnvelopedData, with signed attributes that say
// what kind of message it is. Package scep and its test server share it.
//
// It also reads and writes PKCS #10 requests and the other contents of
// messages. It does not encrypt, decrypt or verify; package cms does.
package pkimsg

import (
	"encoding/asn1"
	"fmt"
)

// A Type is a messageType (RFC 8894, section 3.2.1.2).
type Type int

// The message types. ChallengeAnswer is an extension of Windows.
const (
	CertRep         Type = 3
	RenewalReq      Type = 17
	PKCSReq         Type = 19
	CertPoll        Type = 20
	GetCert         Type = 21
	GetCRL          Type = 22
	ChallengeAnswer Type = 41
)

// String returns the name, such as "PKCSReq", or "messageType" and the number.
func (t Type) String() string {
	switch t {
	case CertRep:
		return "CertRep"
	case RenewalReq:
		return "RenewalReq"
	case PKCSReq:
		return "PKCSReq"
	case CertPoll:
		return "CertPoll"
	case GetCert:
		return "GetCert"
	case GetCRL:
		return "GetCRL"
	case ChallengeAnswer:
		return "ChallengeAnswer"
	}
	return fmt.Sprintf("messageType %d", int(t))
}

// The values of pkiStatus (RFC 8894, section 3.2.1.3). None stands for a
// pkiStatus or failInfo that is absent. Challenge is an extension of Windows.
const (
	None      = -1
	Success   = 0
	Failure   = 2
	Pending   = 3
	Challenge = 11
)

// NonceSize is the size of a nonce in bytes (RFC 8894, section 3.2.1.5).
const NonceSize = 16

// Object identifiers of the attributes.
var (
	oidMessageType    = asn1.ObjectIdentifier{2, 16, 840, 1, 113733, 1, 9, 2}
	oidStatus         = asn1.ObjectIdentifier{2, 16, 840, 1, 113733, 1, 9, 3}
	oidFailInfo       = asn1.ObjectIdentifier{2, 16, 840, 1, 113733, 1, 9, 4}
	oidSenderNonce    = asn1.ObjectIdentifier{2, 16, 840, 1, 113733, 1, 9, 5}
	oidRecipientNonce = asn1.ObjectIdentifier{2, 16, 840, 1, 113733, 1, 9, 6}
	oidTransactionID  = asn1.ObjectIdentifier{2, 16, 840, 1, 113733, 1, 9, 7}
	oidFailInfoText   = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 24, 1}
	oidError          = asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 311, 21, 33} // szOID_ENROLL_SCEP_ERROR

	oidChallengePassword = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 7}

	oidContentType   = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 3}
	oidMessageDigest = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 4}
	oidSigningTime   = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 5}
)
