package pkimsg

import (
	"crypto"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"

	"github.com/whiteglove/whiteglove/internal/spki"
)

// A CSR is the subject and the key of a PKCS #10 request (RFC 2986).
type CSR struct {
	Subject []byte           // Name, in DER
	SPKI    []byte           // SubjectPublicKeyInfo, in DER; a key has only this form
	Key     crypto.PublicKey // the key in SPKI
}

// ParseCSR reads the subject and the key of a PKCS #10 request in DER. It does
// not check the attributes and the signature, because some requests prove the
// possession of the key in another way. The error wraps [cms.ErrMalformed].
func ParseCSR(der []byte) (*CSR, error) {
	r, err := readRequest(der)
	if err != nil {
		return nil, err
	}
	key, err := spki.Parse(r.spki)
	if err != nil {
		return nil, malformed("key of a PKCS #10 request: " + err.Error())
	}
	return &CSR{Subject: r.subject, SPKI: r.spki, Key: key}, nil
}

// A request holds the parts of a CertificationRequestInfo: subject and spki as
// whole elements, and the contents of the set of attributes. Some senders leave
// the set out; attributes is empty then.
type request struct {
	subject, spki, attributes cryptobyte.String
}

const attributesTag = cbasn1.Tag(0xA0) // [0], constructed

// readRequest reads a PKCS #10 request.
func readRequest(der []byte) (*request, error) {
	in := cryptobyte.String(der)
	var outer, info, signature cryptobyte.String
	var version int64
	if !in.ReadASN1(&outer, cbasn1.SEQUENCE) || !in.Empty() || !outer.ReadASN1(&info, cbasn1.SEQUENCE) ||
		!outer.SkipASN1(cbasn1.SEQUENCE) || !outer.ReadASN1(&signature, cbasn1.BIT_STRING) || !outer.Empty() {
		return nil, malformed("PKCS #10 request")
	}
	r := new(request)
	if !info.ReadASN1Integer(&version) || version != 0 || !info.ReadASN1Element(&r.subject, cbasn1.SEQUENCE) ||
		!info.ReadASN1Element(&r.spki, cbasn1.SEQUENCE) {
		return nil, malformed("CertificationRequestInfo")
	}
	if !info.Empty() && !info.ReadASN1(&r.attributes, attributesTag) {
		r.attributes = nil // attributes are not checked
	}
	return r, nil
}
