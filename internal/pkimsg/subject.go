package pkimsg

import (
	"math/big"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// IssuerAndSubject returns the content of a CertPoll in DER (RFC 8894, section
// 3.3.3). issuer and subject are Names in DER. The error is that of the encoding.
func IssuerAndSubject(issuer, subject []byte) ([]byte, error) {
	b := cryptobyte.NewBuilder(nil)
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddBytes(issuer)
		b.AddBytes(subject)
	})
	return b.Bytes()
}

// ParseIssuerAndSubject reads the content of a CertPoll and returns the two Names
// in DER. The error wraps [cms.ErrMalformed].
func ParseIssuerAndSubject(der []byte) (issuer, subject []byte, err error) {
	in := cryptobyte.String(der)
	var seq, first, second cryptobyte.String
	if !in.ReadASN1(&seq, cbasn1.SEQUENCE) || !in.Empty() || !seq.ReadASN1Element(&first, cbasn1.SEQUENCE) ||
		!seq.ReadASN1Element(&second, cbasn1.SEQUENCE) || !seq.Empty() {
		return nil, nil, malformed("IssuerAndSubject")
	}
	return first, second, nil
}

// IssuerAndSerial returns the content of a GetCert or GetCRL in DER, an
// IssuerAndSerialNumber (RFC 8894, sections 3.3.4 and 3.3.5). issuer is a Name in
// DER. The error is that of the encoding.
func IssuerAndSerial(issuer []byte, serial *big.Int) ([]byte, error) {
	b := cryptobyte.NewBuilder(nil)
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddBytes(issuer)
		b.AddASN1BigInt(serial)
	})
	return b.Bytes()
}

// ParseIssuerAndSerial reads the content of a GetCert or GetCRL. issuer is a Name
// in DER. The error wraps [cms.ErrMalformed].
func ParseIssuerAndSerial(der []byte) (issuer []byte, serial *big.Int, err error) {
	in := cryptobyte.String(der)
	var seq, name cryptobyte.String
	serial = new(big.Int)
	if !in.ReadASN1(&seq, cbasn1.SEQUENCE) || !in.Empty() || !seq.ReadASN1Element(&name, cbasn1.SEQUENCE) ||
		!seq.ReadASN1Integer(serial) || !seq.Empty() {
		return nil, nil, malformed("IssuerAndSerialNumber")
	}
	return name, serial, nil
}
