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

// ErrSignature is wrapped by the error of [CSR.VerifyNull].
var ErrSignature = errors.New("null signature does not hold")

// An Attribute is an attribute of a request.
type Attribute struct {
	Type   asn1.ObjectIdentifier
	Values [][]byte // each in DER; at least one
}

// A CSR is a PKCS #10 certification request (RFC 2986).
type CSR struct {
	Info       []byte      // CertificationRequestInfo, DER
	Subject    []byte      // Name, DER
	PublicKey  []byte      // SubjectPublicKeyInfo, DER
	Attributes []Attribute // in the order of the request

	Algorithm []byte // AlgorithmIdentifier of the signature, DER
	Signature []byte // contents of the BIT STRING
}

// nullSigned is the AlgorithmIdentifier of a null signature: SHA-256 with NULL
// parameters.
var nullSigned = []byte{0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01, 0x05, 0x00}

var emptyName = []byte{0x30, 0x00}

// MarshalCSR returns a null-signed request in DER with an empty subject: in place
// of a signature it has the SHA-256 of its CertificationRequestInfo. spki is the
// SubjectPublicKeyInfo of the key in DER. The attributes keep their order, as in
// requests of Windows, although DER would sort them. The error says that an
// attribute has no value or cannot be encoded.
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

// addAttribute writes an attribute.
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

// ParseCSR reads a request in DER with any signature. It does not check the
// signature; see [CSR.VerifyNull]. A request has at most 32 attributes with 8 values
// each. The error wraps [ErrFormat].
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

// readAttribute reads an attribute. ok reports whether it could.
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

// VerifyNull checks that the request is null-signed: its signature is the SHA-256
// of its Info. That does not prove possession of the key. The error wraps
// [ErrSignature] if the algorithm is another or the digest does not match.
func (c *CSR) VerifyNull() error {
	if !bytes.Equal(c.Algorithm, nullSigned) {
		return fmt.Errorf("wcce: request: %w: the signature has another algorithm", ErrSignature)
	}
	digest := sha256.Sum256(c.Info)
	if subtle.ConstantTimeCompare(digest[:], c.Signature) != 1 {
		return fmt.Errorf("wcce: request: %w: the digest does not match", ErrSignature)
	}
	return nil
}

// EmptySubject reports whether the subject of the request is the empty Name.
func (c *CSR) EmptySubject() bool { return bytes.Equal(c.Subject, emptyName) }

// Value returns the value of the attribute of type id, in DER. The error wraps
// [ErrFormat] if the attribute is missing, occurs twice or does not have exactly
// one value.
func (c *CSR) Value(id asn1.ObjectIdentifier) ([]byte, error) {
	var found []byte
	for _, a := range c.Attributes {
		if !a.Type.Equal(id) {
			continue
		}
		if found != nil || len(a.Values) != 1 {
			return nil, malformed("request", "attribute %v does not have exactly one value", id)
		}
		found = a.Values[0]
	}
	if found == nil {
		return nil, malformed("request", "no attribute %v", id)
	}
	return found, nil
}

// Octets returns the contents of the OCTET STRING that is the value of the attribute
// of type id. The error wraps [ErrFormat] as that of [CSR.Value], or if the value is
// not an OCTET STRING.
func (c *CSR) Octets(id asn1.ObjectIdentifier) ([]byte, error) {
	v, err := c.Value(id)
	if err != nil {
		return nil, err
	}
	var out cryptobyte.String
	s := cryptobyte.String(v)
	if !s.ReadASN1(&out, der.OCTET_STRING) || !s.Empty() {
		return nil, malformed("request", "attribute %v is not an OCTET STRING", id)
	}
	return out, nil
}
