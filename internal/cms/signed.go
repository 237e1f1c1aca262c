package cms

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"encoding/asn1"
	"fmt"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// An Attribute is a signed attribute with one value.
type Attribute struct {
	Type  asn1.ObjectIdentifier
	Value []byte // DER
}

// A SignedData is a message with one signer. Nothing in it is proven until
// [SignedData.Verify] has returned nil.
type SignedData struct {
	Content      []byte              // nil if absent
	Certificates []*x509.Certificate // in the message; not signed, and only hints
	Bad          []error             // one for each certificate that cannot be parsed
	Attributes   []Attribute         // signed; each type occurs once
	Digest       crypto.Hash         // of Content and Attributes

	crls      cryptobyte.String // whole elements
	signer    identifier
	scheme    asn1.ObjectIdentifier
	signed    []byte // the attributes as the signature covers them
	signature []byte
}

// ParseSigned reads a ContentInfo with SignedData whose content has the type data.
// It must have exactly one signer, who signs attributes, and each attribute must
// have one value and occur once. The error wraps [ErrMalformed], or [ErrAlgorithm]
// if the digest is not supported.
func ParseSigned(ber []byte) (*SignedData, error) {
	s, signers, err := parseSignedData(ber)
	if err != nil {
		return nil, err
	}
	var info cryptobyte.String
	if !signers.ReadASN1(&info, cbasn1.SEQUENCE) {
		return nil, malformed("no signer")
	}
	if !signers.Empty() {
		return nil, malformed("more than one signer")
	}
	if err := s.readSigner(info); err != nil {
		return nil, err
	}
	return s, nil
}

// parseSignedData reads a SignedData, except the signers.
func parseSignedData(ber []byte) (s *SignedData, signers cryptobyte.String, err error) {
	in, err := readContentInfo(ber, oidSignedData)
	if err != nil {
		return nil, nil, err
	}
	var version int64
	var digests, encapsulated, set, crls cryptobyte.String
	var present bool
	if !in.ReadASN1Integer(&version) || version < 1 || version > 5 || !in.ReadASN1(&digests, cbasn1.SET) ||
		!in.ReadASN1(&encapsulated, cbasn1.SEQUENCE) || !in.ReadOptionalASN1(&set, &present, tag0) ||
		!in.ReadOptionalASN1(&crls, &present, tag1) || !in.ReadASN1(&signers, cbasn1.SET) || !in.Empty() {
		return nil, nil, malformed("SignedData")
	}
	s = &SignedData{crls: crls}
	if err := s.readContent(encapsulated); err != nil {
		return nil, nil, err
	}
	s.Certificates, s.Bad, err = certificates(set)
	return s, signers, err
}

func (s *SignedData) readContent(in cryptobyte.String) error {
	var id asn1.ObjectIdentifier
	var explicit, octets cryptobyte.String
	var present bool
	if !in.ReadASN1ObjectIdentifier(&id) || !in.ReadOptionalASN1(&explicit, &present, tag0) || !in.Empty() {
		return malformed("EncapsulatedContentInfo")
	}
	if !id.Equal(oidData) {
		return malformed(fmt.Sprintf("encapsulated content type %v is not data", id))
	}
	if !present {
		return nil
	}
	if !explicit.ReadASN1(&octets, cbasn1.OCTET_STRING) || !explicit.Empty() {
		return malformed("encapsulated content")
	}
	s.Content = octets
	return nil
}

func (s *SignedData) readSigner(in cryptobyte.String) error {
	var version int64
	var digest, scheme algorithm
	var attributes, signature cryptobyte.String
	if !in.ReadASN1Integer(&version) || (version != 1 && version != 3) || !readIdentifier(&in, &s.signer) ||
		!readAlgorithm(&in, &digest) {
		return malformed("SignerInfo")
	}
	if !in.PeekASN1Tag(tag0) {
		return malformed("no signed attributes")
	}
	if !in.ReadASN1Element(&attributes, tag0) || !readAlgorithm(&in, &scheme) ||
		!in.ReadASN1(&signature, cbasn1.OCTET_STRING) || !in.SkipOptionalASN1(tag1) || !in.Empty() {
		return malformed("SignerInfo")
	}
	if !digest.plain() || !scheme.plain() {
		return malformed("parameters of digest or signature")
	}
	var ok bool
	if s.Digest, ok = hashOf(digest.id); !ok {
		return fmt.Errorf("cms: %w: digest %v", ErrAlgorithm, digest.id)
	}
	s.scheme, s.signature = scheme.id, signature
	// They are sent with the tag [0] but signed with that of SET OF (RFC 5652,
	// section 5.4).
	s.signed = bytes.Clone(attributes)
	s.signed[0] = byte(cbasn1.SET)
	return s.readAttributes(s.signed)
}

func (s *SignedData) readAttributes(in cryptobyte.String) error {
	var set cryptobyte.String
	if !in.ReadASN1(&set, cbasn1.SET) {
		return malformed("signed attributes")
	}
	for !set.Empty() {
		var seq, values, value cryptobyte.String
		var a Attribute
		if !set.ReadASN1(&seq, cbasn1.SEQUENCE) || !seq.ReadASN1ObjectIdentifier(&a.Type) ||
			!seq.ReadASN1(&values, cbasn1.SET) || !seq.Empty() {
			return malformed("signed attribute")
		}
		if !values.ReadAnyASN1Element(&value, new(cbasn1.Tag)) || !values.Empty() {
			return malformed(fmt.Sprintf("signed attribute %v does not have exactly one value", a.Type))
		}
		if s.Attribute(a.Type) != nil {
			return malformed(fmt.Sprintf("signed attribute %v occurs twice", a.Type))
		}
		if len(s.Attributes) == maxAttributes {
			return malformed(fmt.Sprintf("over %d signed attributes", maxAttributes))
		}
		a.Value = value
		s.Attributes = append(s.Attributes, a)
	}
	return nil
}

// Attribute returns the value of a signed attribute in DER, or nil if it is
// absent.
func (s *SignedData) Attribute(id asn1.ObjectIdentifier) []byte {
	for _, a := range s.Attributes {
		if a.Type.Equal(id) {
			return a.Value
		}
	}
	return nil
}

// SignedBy reports whether the message names cert as its signer's certificate. It
// does not check the signature.
func (s *SignedData) SignedBy(cert *x509.Certificate) bool { return s.signer.names(cert) }

// Signer returns the signer's certificate if the message has it, else nil. It does
// not check the signature.
func (s *SignedData) Signer() *x509.Certificate {
	for _, c := range s.Certificates {
		if s.SignedBy(c) {
			return c
		}
	}
	return nil
}

// Verify checks that the key of cert signed the message: the attributes
// contentType and messageDigest, and the signature over the attributes. The caller
// decides whether to trust cert. sha1 permits SHA-1.
//
// The error wraps [ErrSignature] if the message names another certificate or the
// digest or the signature does not match, [ErrAlgorithm] if an algorithm is not
// permitted or does not fit the key, and [ErrMalformed] if one of the two
// attributes is absent or wrong.
func (s *SignedData) Verify(cert *x509.Certificate, sha1 bool) error {
	if s.Digest == crypto.SHA1 && !sha1 {
		return fmt.Errorf("cms: %w: digest SHA-1", ErrAlgorithm)
	}
	if !s.SignedBy(cert) {
		return fmt.Errorf("cms: %w: the message names another certificate", ErrSignature)
	}
	in := cryptobyte.String(s.Attribute(oidContentType))
	var id asn1.ObjectIdentifier
	if !in.ReadASN1ObjectIdentifier(&id) || !id.Equal(oidData) { // it is one element
		return malformed("signed attribute contentType is absent or wrong")
	}
	in = s.Attribute(oidMessageDigest)
	var digest cryptobyte.String
	if !in.ReadASN1(&digest, cbasn1.OCTET_STRING) {
		return malformed("signed attribute messageDigest is absent or wrong")
	}
	if !bytes.Equal(digest, sum(s.Digest, s.Content)) {
		return fmt.Errorf("cms: %w: the digest of the content does not match", ErrSignature)
	}
	return verify(cert.PublicKey, s.Digest, s.scheme, s.signed, s.signature)
}
