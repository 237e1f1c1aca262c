package wcce

import (
	"bytes"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/asn1"
	"errors"
	"fmt"

	"golang.org/x/crypto/cryptobyte"
	der "golang.org/x/crypto/cryptobyte/asn1"
)

// Limits of a request.
const (
	maxAttributes = 32
	maxValues     = 8
)

// ErrSignature is wrapped when a request is not null-signed, or the digest in
// its signature is not its own.
var ErrSignature = errors.New("null signature does not hold")

// An Attribute is an attribute of a request.
type Attribute struct {
	Type   asn1.ObjectIdentifier
	Values [][]byte // DER
}

// A CSR is a PKCS #10 certification request (RFC 2986).
type CSR struct {
	Info       []byte // CertificationRequestInfo, DER
	Subject    []byte // Name, DER
	PublicKey  []byte // SubjectPublicKeyInfo, DER
	Attributes []Attribute

	Algorithm []byte // AlgorithmIdentifier of the signature, DER
	Signature []byte
}

// nullSigned is the AlgorithmIdentifier of a null signature: a bare SHA-256.
var nullSigned = []byte{0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01, 0x05, 0x00}

var emptyName = []byte{0x30, 0x00}

// MarshalCSR builds a null-signed request for a key (SubjectPublicKeyInfo, in
// DER) with an empty subject. The attributes keep their order, as Windows's do,
// though DER would sort them.
func MarshalCSR(spki []byte, attrs []Attribute) ([]byte, error) {
	var b cryptobyte.Builder
	b.AddASN1(der.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1Int64(0)
		b.AddBytes(emptyName)
		b.AddBytes(spki)
		b.AddASN1(der.Tag(0).ContextSpecific().Constructed(), func(b *cryptobyte.Builder) {
			for _, a := range attrs {
				addAttribute(b, a)
			}
		})
	})
	info, err := b.Bytes()
	if err != nil {
		return nil, fmt.Errorf("wcce: request: %w", err)
	}
	digest := sha256.Sum256(info)
	b = cryptobyte.Builder{}
	b.AddASN1(der.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddBytes(info)
		b.AddBytes(nullSigned)
		b.AddASN1BitString(digest[:])
	})
	out, err := b.Bytes()
	if err != nil {
		return nil, fmt.Errorf("wcce: request: %w", err)
	}
	return out, nil
}

func addAttribute(b *cryptobyte.Builder, a Attribute) {
	if len(a.Values) == 0 {
		b.SetError(fmt.Errorf("attribute %v has no value", a.Type))
		return
	}
	b.AddASN1(der.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1ObjectIdentifier(a.Type)
		b.AddASN1(der.SET, func(b *cryptobyte.Builder) {
			for _, v := range a.Values {
				b.AddBytes(v)
			}
		})
	})
}

// ParseCSR reads a request with any signature. It does not check the signature;
// see [CSR.VerifyNull].
func ParseCSR(in []byte) (*CSR, error) {
	const op = "request"
	if len(in) > maxSize {
		return nil, malformed(op, "%d bytes", len(in))
	}
	var (
		outer, info, attrs  cryptobyte.String
		raw, name, key, alg cryptobyte.String
		version             int
		sig                 []byte
		s                   = cryptobyte.String(in)
	)
	if !s.ReadASN1(&outer, der.SEQUENCE) || !s.Empty() ||
		!outer.ReadASN1Element(&raw, der.SEQUENCE) ||
		!outer.ReadASN1Element(&alg, der.SEQUENCE) ||
		!outer.ReadASN1BitStringAsBytes(&sig) || !outer.Empty() {
		return nil, malformed(op, "not a PKCS #10 request")
	}
	rest := raw
	if !rest.ReadASN1(&info, der.SEQUENCE) || !info.ReadASN1Integer(&version) || version != 0 ||
		!info.ReadASN1Element(&name, der.SEQUENCE) ||
		!info.ReadASN1Element(&key, der.SEQUENCE) ||
		!info.ReadASN1(&attrs, der.Tag(0).ContextSpecific().Constructed()) || !info.Empty() {
		return nil, malformed(op, "bad request info")
	}
	csr := &CSR{Info: raw, Subject: name, PublicKey: key, Algorithm: alg, Signature: sig}
	for !attrs.Empty() {
		a, ok := readAttribute(&attrs)
		if !ok || len(csr.Attributes) == maxAttributes {
			return nil, malformed(op, "bad attribute %d", len(csr.Attributes)+1)
		}
		csr.Attributes = append(csr.Attributes, a)
	}
	return csr, nil
}

func readAttribute(s *cryptobyte.String) (a Attribute, ok bool) {
	var seq, set cryptobyte.String
	if !s.ReadASN1(&seq, der.SEQUENCE) || !seq.ReadASN1ObjectIdentifier(&a.Type) ||
		!seq.ReadASN1(&set, der.SET) || !seq.Empty() {
		return a, false
	}
	for !set.Empty() {
		var v cryptobyte.String
		var tag der.Tag
		if !set.ReadAnyASN1Element(&v, &tag) || len(a.Values) == maxValues {
			return a, false
		}
		a.Values = append(a.Values, v)
	}
	return a, true
}

// VerifyNull checks that the request is null-signed: its signature is the
// SHA-256 of its info. That proves no possession of the key.
func (c *CSR) VerifyNull() error {
	if !bytes.Equal(c.Algorithm, nullSigned) {
		return fmt.Errorf("wcce: request: %w: another signature algorithm", ErrSignature)
	}
	digest := sha256.Sum256(c.Info)
	if subtle.ConstantTimeCompare(digest[:], c.Signature) != 1 {
		return fmt.Errorf("wcce: request: %w: another digest", ErrSignature)
	}
	return nil
}

// EmptySubject reports whether the request names no subject.
func (c *CSR) EmptySubject() bool { return bytes.Equal(c.Subject, emptyName) }

// Value returns the DER of the one value of the one attribute of type id. It
// is an error if the attribute is missing, or there are several.
func (c *CSR) Value(id asn1.ObjectIdentifier) ([]byte, error) {
	var found []byte
	for _, a := range c.Attributes {
		if !a.Type.Equal(id) {
			continue
		}
		if found != nil || len(a.Values) != 1 {
			return nil, malformed("request", "not one value of attribute %v", id)
		}
		found = a.Values[0]
	}
	if found == nil {
		return nil, malformed("request", "no attribute %v", id)
	}
	return found, nil
}

// Octets is Value for an attribute whose value is an OCTET STRING; it returns
// the string's contents.
func (c *CSR) Octets(id asn1.ObjectIdentifier) ([]byte, error) {
	v, err := c.Value(id)
	if err != nil {
		return nil, err
	}
	var out cryptobyte.String
	s := cryptobyte.String(v)
	if !s.ReadASN1(&out, der.OCTET_STRING) || !s.Empty() {
		return nil, malformed("request", "attribute %v is no octet string", id)
	}
	return out, nil
}
