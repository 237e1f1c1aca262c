// Package cms reads and writes the part of the Cryptographic Message Syntax
// (RFC 5652) that enrollment protocols use: SignedData with one signer, bags
// of certificates and revocation lists, and EnvelopedData for RSA recipients.
//
// Keys are used through [crypto.Signer] and [crypto.Decrypter], so they may
// lie in a TPM. Algorithms are chosen per call; the package has no settings of
// its own. Input may be BER: it is rewritten to DER first, in linear time and
// within the limits below, and what follows the object is an error.
package cms

import (
	"encoding/asn1"
	"errors"
)

// Limits on input.
const (
	MaxSize  = 1 << 20 // bytes
	MaxDepth = 32      // levels of nesting

	maxCertificates = 64
	maxCRLs         = 16
	maxRecipients   = 16
	maxAttributes   = 64
)

// Errors that this package's errors wrap.
var (
	// ErrMalformed: the input is not what it should be.
	ErrMalformed = errors.New("malformed")

	// ErrAlgorithm: an algorithm is unknown or not permitted.
	ErrAlgorithm = errors.New("algorithm not permitted")

	// ErrSignature: digest or signature do not match.
	ErrSignature = errors.New("bad signature")

	// ErrRecipient: the content is for somebody else.
	ErrRecipient = errors.New("not a recipient")

	// ErrDecrypt: the content cannot be decrypted, for whatever reason.
	ErrDecrypt = errors.New("decryption failed")
)

var (
	oidData          = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 1}
	oidSignedData    = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 2}
	oidEnvelopedData = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 3}

	oidContentType   = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 3}
	oidMessageDigest = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 4}

	oidRSA    = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 1}
	oidOAEP   = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 7}
	oidMGF1   = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 8}
	oidAES128 = asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 1, 2}
	oidAES256 = asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 1, 42}
	oid3DES   = asn1.ObjectIdentifier{1, 2, 840, 113549, 3, 7}
	oidDES    = asn1.ObjectIdentifier{1, 3, 14, 3, 2, 7}

	oidAuthorityKeyID = asn1.ObjectIdentifier{2, 5, 29, 35}
)
