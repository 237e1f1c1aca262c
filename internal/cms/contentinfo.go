package cms

import (
	"crypto/x509"
	"encoding/asn1"
	"fmt"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

const (
	tag0 = cbasn1.Tag(0x80 | constructed) // [0], constructed
	tag1 = tag0 | 1
	// tag0Primitive is [0] IMPLICIT of a primitive type.
	tag0Primitive = cbasn1.Tag(0x80)
)

// malformed returns an error that wraps ErrMalformed.
func malformed(what string) error {
	return fmt.Errorf("cms: %w: %s", ErrMalformed, what)
}

// contentInfo writes a ContentInfo whose content is a SEQUENCE that f fills.
func contentInfo(oid asn1.ObjectIdentifier, f cryptobyte.BuilderContinuation) ([]byte, error) {
	b := cryptobyte.NewBuilder(nil)
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1ObjectIdentifier(oid)
		b.AddASN1(tag0, func(b *cryptobyte.Builder) { b.AddASN1(cbasn1.SEQUENCE, f) })
	})
	der, err := b.Bytes()
	if err != nil {
		return nil, fmt.Errorf("cms: encoding: %w", err)
	}
	return der, nil
}

// readContentInfo returns, in DER, the contents of the SEQUENCE in a ContentInfo
// of type oid.
func readContentInfo(ber []byte, oid asn1.ObjectIdentifier) (cryptobyte.String, error) {
	der, err := DER(ber)
	if err != nil {
		return nil, err
	}
	in := cryptobyte.String(der)
	var outer, explicit, body cryptobyte.String
	var id asn1.ObjectIdentifier
	if !in.ReadASN1(&outer, cbasn1.SEQUENCE) || !outer.ReadASN1ObjectIdentifier(&id) {
		return nil, malformed("not a ContentInfo")
	}
	if !id.Equal(oid) {
		return nil, malformed(fmt.Sprintf("content type is %v, not %v", id, oid))
	}
	if !outer.ReadASN1(&explicit, tag0) || !outer.Empty() ||
		!explicit.ReadASN1(&body, cbasn1.SEQUENCE) || !explicit.Empty() {
		return nil, malformed("ContentInfo")
	}
	return body, nil
}

// An algorithm is an AlgorithmIdentifier.
type algorithm struct {
	id     asn1.ObjectIdentifier
	params cryptobyte.String // a whole element; empty if absent
}

// readAlgorithm reads an AlgorithmIdentifier and reports whether it could.
func readAlgorithm(in *cryptobyte.String, out *algorithm) bool {
	var seq cryptobyte.String
	if !in.ReadASN1(&seq, cbasn1.SEQUENCE) || !seq.ReadASN1ObjectIdentifier(&out.id) {
		return false
	}
	out.params = seq
	return seq.Empty() || (seq.ReadAnyASN1Element(new(cryptobyte.String), new(cbasn1.Tag)) && seq.Empty())
}

// plain reports whether the parameters of a are absent or NULL.
func (a *algorithm) plain() bool { return len(a.params) == 0 || string(a.params) == "\x05\x00" }

// addAlgorithm writes an AlgorithmIdentifier with NULL parameters.
func addAlgorithm(b *cryptobyte.Builder, id asn1.ObjectIdentifier) {
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1ObjectIdentifier(id)
		b.AddASN1NULL()
	})
}

// An identifier names a certificate, by issuer and serial number or by subject
// key identifier: a SignerIdentifier or RecipientIdentifier.
type identifier struct {
	issuer, serial cryptobyte.String // whole elements
	keyID          []byte            // nil if the certificate is named by the other two
}

// readIdentifier reads an identifier and reports whether it could.
func readIdentifier(in *cryptobyte.String, out *identifier) bool {
	var seq, key cryptobyte.String
	var present bool
	if !in.ReadOptionalASN1(&key, &present, tag0Primitive) {
		return false
	}
	if present {
		out.keyID = key
		return len(key) > 0
	}
	return in.ReadASN1(&seq, cbasn1.SEQUENCE) && seq.ReadASN1Element(&out.issuer, cbasn1.SEQUENCE) &&
		seq.ReadASN1Element(&out.serial, cbasn1.INTEGER) && seq.Empty()
}

// names reports whether id names cert.
func (id *identifier) names(cert *x509.Certificate) bool {
	if id.keyID != nil {
		return string(id.keyID) == string(cert.SubjectKeyId)
	}
	serial := cryptobyte.NewBuilder(nil)
	serial.AddASN1BigInt(cert.SerialNumber)
	der, err := serial.Bytes()
	return err == nil && string(der) == string(id.serial) && string(cert.RawIssuer) == string(id.issuer)
}

// addIdentifier writes an IssuerAndSerialNumber.
func addIdentifier(b *cryptobyte.Builder, cert *x509.Certificate) {
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddBytes(cert.RawIssuer)
		b.AddASN1BigInt(cert.SerialNumber)
	})
}
