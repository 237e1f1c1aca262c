package ekcert

import (
	"crypto/x509"
	"encoding/asn1"
	"errors"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"

	"github.com/whiteglove/whiteglove/internal/cms"
)

var (
	errTPM12     = errors.New("it is the certificate of a TPM 1.2, and this is about a TPM 2.0")
	errAttribute = errors.New("it is an attribute certificate, such as a platform certificate, and has no key")
)

var (
	oidRSAESOAEP = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 7}
	version      = cbasn1.Tag(0).ContextSpecific().Constructed()
)

// isTPM12 reports whether cert names TPM 1.2 as its specification, or its key is for
// RSAES-OAEP only, as the TCG's profile for TPM 1.2 has it.
func isTPM12(cert *x509.Certificate) bool {
	if f, _ := readFields(cert); f.family != "" {
		return f.family == "1.2"
	}
	var spki, algorithm cryptobyte.String
	var id asn1.ObjectIdentifier
	in := cryptobyte.String(cert.RawSubjectPublicKeyInfo)
	return in.ReadASN1(&spki, cbasn1.SEQUENCE) && spki.ReadASN1(&algorithm, cbasn1.SEQUENCE) &&
		algorithm.ReadASN1ObjectIdentifier(&id) && id.Equal(oidRSAESOAEP)
}

// isAttributeCertificate reports whether der is an AttributeCertificate (RFC 5755,
// section 4.1): where a certificate has the algorithm of its signature, there is its
// holder, whose first element has a tag of its context.
func isAttributeCertificate(der []byte) bool {
	var cert, info, holder, first cryptobyte.String
	var tag cbasn1.Tag
	in := cryptobyte.String(der)
	return in.ReadASN1(&cert, cbasn1.SEQUENCE) && cert.ReadASN1(&info, cbasn1.SEQUENCE) &&
		info.SkipASN1(cbasn1.INTEGER) && info.ReadASN1(&holder, cbasn1.SEQUENCE) &&
		holder.ReadAnyASN1(&first, &tag) && tag&0x80 != 0
}

// parseCertificate is [x509.ParseCertificate], but refuses RSA keys that are too large
// and accepts a serial number with superfluous leading bytes.
func parseCertificate(der []byte) (*x509.Certificate, error) {
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		if cert = parseLongSerial(der); cert == nil {
			return nil, err
		}
	}
	return cert, cms.CheckKey(cert.PublicKey)
}

// serialNumber returns the contents of a certificate's serial number, or nil.
func serialNumber(der []byte) []byte {
	var cert, tbs, serial cryptobyte.String
	in := cryptobyte.String(der)
	if !in.ReadASN1(&cert, cbasn1.SEQUENCE) || !cert.ReadASN1(&tbs, cbasn1.SEQUENCE) ||
		!tbs.SkipOptionalASN1(version) || !tbs.ReadASN1(&serial, cbasn1.INTEGER) {
		return nil
	}
	return serial
}

// superfluous returns how many of the leading bytes of a positive INTEGER are not DER.
func superfluous(serial []byte) int {
	n := 0
	for len(serial) > n+1 && serial[n] == 0 && serial[n+1]&0x80 == 0 {
		n++
	}
	return n
}

// parseLongSerial parses a certificate without the superfluous bytes of its serial
// number, and then sets what is signed to the bytes that are there. It returns nil if
// there are none, or more is wrong.
func parseLongSerial(der []byte) *x509.Certificate {
	serial := serialNumber(der)
	n := superfluous(serial)
	if n == 0 {
		return nil
	}
	var cert, tbs, rawTBS, first cryptobyte.String
	in := cryptobyte.String(der)
	if !in.ReadASN1(&cert, cbasn1.SEQUENCE) || !in.Empty() || !cert.ReadASN1Element(&rawTBS, cbasn1.SEQUENCE) {
		return nil
	}
	all := rawTBS
	var present bool
	if !all.ReadASN1(&tbs, cbasn1.SEQUENCE) || !tbs.ReadOptionalASN1(&first, &present, version) || !tbs.SkipASN1(cbasn1.INTEGER) {
		return nil
	}
	var b cryptobyte.Builder
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
			if present {
				b.AddASN1(version, func(b *cryptobyte.Builder) { b.AddBytes(first) })
			}
			b.AddASN1(cbasn1.INTEGER, func(b *cryptobyte.Builder) { b.AddBytes(serial[n:]) })
			b.AddBytes(tbs)
		})
		b.AddBytes(cert)
	})
	shorter, err := b.Bytes()
	if err != nil {
		return nil
	}
	out, err := x509.ParseCertificate(shorter)
	if err != nil {
		return nil
	}
	out.Raw, out.RawTBSCertificate = append([]byte(nil), der...), append([]byte(nil), rawTBS...)
	return out
}
