// Package cms reads and writes the part of the Cryptographic Message Syntax
// (RFC 5652) that enrollment protocols use: SignedData with one signer, bags
// of certificates and revocation lists, and EnvelopedData for RSA recipients.
//
//	           write    read
//	signed     Sign     ParseSigned, then SignedData.Verify
//	encrypted  Encrypt  ParseEnveloped, then Enveloped.Decrypt; or Decrypt
//	bag        Bag      ParseBag, ParseCertificates, ParseCRLs
//
// Keys are used through [crypto.Signer] and [crypto.Decrypter], so they may be
// in a TPM. The caller chooses the algorithms in each call; the package has no
// settings.
//
// All input and output is a ContentInfo whose innermost content has the type
// data. Output is DER. Input may be BER: it is rewritten to DER first, in linear
// time and within the limits [MaxSize] and [MaxDepth]. Bytes after the object are
// an error. Parsed values may share memory with the input, which must not be
// changed afterwards.
//
// Not supported are several signers, unsigned content with a signer, recipients
// other than by RSA key transport, authenticated encryption, RSA-PSS and EdDSA.
package cms

import (
	"encoding/asn1"
	"errors"
)

// Limits on input.
const (
	MaxSize  = 1 << 20 // bytes of one object
	MaxDepth = 32      // levels of nesting

	maxCertificates = 64 // in one SignedData
	maxCRLs         = 16
	maxRecipients   = 16
	maxAttributes   = 64
)

// Errors that the errors of this package wrap.
var (
	// ErrMalformed is returned by all parsers, and by Verify and Decrypt, if the
	// input does not have the form that RFC 5652 demands or exceeds a limit.
	ErrMalformed = errors.New("malformed")

	// ErrAlgorithm is returned if an algorithm or a kind of key is not supported,
	// or needs a permission that the caller did not give.
	ErrAlgorithm = errors.New("algorithm not permitted")

	// ErrSignature is returned by Verify if the digest or the signature does not
	// match, or the message names another signer.
	ErrSignature = errors.New("bad signature")

	// ErrRecipient is returned by Decrypt if the content is for others.
	ErrRecipient = errors.New("not a recipient")

	// ErrDecrypt is returned by Decrypt if the content cannot be decrypted,
	// whatever the reason.
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
