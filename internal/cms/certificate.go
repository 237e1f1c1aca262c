package cms

import (
	"crypto/x509"
	"encoding/asn1"
	"fmt"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// ParseCertificate is [x509.ParseCertificate], but also accepts a certificate
// whose authority key identifier is marked critical, as in those that Windows
// makes for SCEP. RFC 5280 forbids the mark and crypto/x509 refuses it. The
// certificate is parsed without the mark; Raw and RawTBSCertificate are those of
// the input, so that fingerprints and signatures hold. It refuses the keys that
// [CheckKey] refuses. The error is that of crypto/x509, or wraps [ErrKeySize].
func ParseCertificate(der []byte) (*x509.Certificate, error) {
	cert, err := parseLenient(der)
	if err != nil {
		return nil, err
	}
	if err := CheckKey(cert.PublicKey); err != nil {
		return nil, err
	}
	return cert, nil
}

// parseLenient is ParseCertificate without the check of the key.
func parseLenient(der []byte) (*x509.Certificate, error) {
	cert, err := x509.ParseCertificate(der)
	if err == nil {
		return cert, nil
	}
	tbs, lenient, ok := withoutCriticalAKI(der)
	if !ok {
		return nil, err
	}
	cert, second := x509.ParseCertificate(lenient)
	if second != nil {
		return nil, err
	}
	cert.Raw, cert.RawTBSCertificate = der, tbs
	return cert, nil
}

// withoutCriticalAKI returns the signed part of a certificate, and the certificate
// without the mark. ok is false if there is no such mark.
func withoutCriticalAKI(der []byte) (tbs, lenient []byte, ok bool) {
	in := cryptobyte.String(der)
	var outer, signed, body, explicit, extensions cryptobyte.String
	if !in.ReadASN1(&outer, cbasn1.SEQUENCE) || !in.Empty() ||
		!outer.ReadASN1Element(&signed, cbasn1.SEQUENCE) {
		return nil, nil, false
	}
	tbs = signed
	if !signed.ReadASN1(&body, cbasn1.SEQUENCE) {
		return nil, nil, false
	}
	extensionsTag := cbasn1.Tag(3).Constructed().ContextSpecific()
	b := cryptobyte.NewBuilder(nil)
	found := false
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
			for !body.Empty() && !body.PeekASN1Tag(extensionsTag) {
				var field cryptobyte.String
				if !body.ReadAnyASN1Element(&field, new(cbasn1.Tag)) {
					b.SetError(errTruncated)
					return
				}
				b.AddBytes(field)
			}
			if !body.ReadASN1(&explicit, extensionsTag) || !explicit.ReadASN1(&extensions, cbasn1.SEQUENCE) {
				b.SetError(errTruncated)
				return
			}
			b.AddASN1(extensionsTag, func(b *cryptobyte.Builder) {
				b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
					for !extensions.Empty() {
						found = copyExtension(b, &extensions) || found
					}
				})
			})
		})
		b.AddBytes(outer)
	})
	lenient, err := b.Bytes()
	return tbs, lenient, err == nil && found
}

// copyExtension reads one extension from in and writes it to b. It reports whether
// it removed the mark.
func copyExtension(b *cryptobyte.Builder, in *cryptobyte.String) bool {
	var whole, inner cryptobyte.String
	var id asn1.ObjectIdentifier
	if !in.ReadASN1Element(&whole, cbasn1.SEQUENCE) {
		*in = nil
		b.SetError(errTruncated)
		return false
	}
	element := whole
	if !whole.ReadASN1(&inner, cbasn1.SEQUENCE) || !inner.ReadASN1ObjectIdentifier(&id) ||
		!id.Equal(oidAuthorityKeyID) || !inner.PeekASN1Tag(cbasn1.BOOLEAN) || !inner.SkipASN1(cbasn1.BOOLEAN) {
		b.AddBytes(element)
		return false
	}
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1ObjectIdentifier(id)
		b.AddBytes(inner)
	})
	return true
}

// certificates reads a CertificateSet. Members that are not certificates or cannot
// be parsed are left out and reported in bad.
func certificates(set cryptobyte.String) (certs []*x509.Certificate, bad []error, err error) {
	for n := 0; !set.Empty(); n++ {
		if n == maxCertificates {
			return nil, nil, fmt.Errorf("cms: %w: over %d certificates", ErrMalformed, maxCertificates)
		}
		var element cryptobyte.String
		var tag cbasn1.Tag
		if !set.ReadAnyASN1Element(&element, &tag) {
			return nil, nil, malformed("certificates")
		}
		if tag != cbasn1.SEQUENCE {
			bad = append(bad, fmt.Errorf("cms: certificate %d: not an X.509 certificate", n))
			continue
		}
		cert, err := ParseCertificate(element)
		if err != nil {
			bad = append(bad, fmt.Errorf("cms: certificate %d: %w", n, err))
			continue
		}
		certs = append(certs, cert)
	}
	return certs, bad, nil
}

// ParseBag reads a bag of certificates: a SignedData without signers and content
// (RFC 8894, section 3.4). Certificates that [ParseCertificate] refuses are left out
// and reported in bad. The error wraps [ErrMalformed] if ber is not such a bag or no
// certificate in it can be parsed.
func ParseBag(ber []byte) (certs []*x509.Certificate, bad []error, err error) {
	s, err := parseBag(ber)
	if err != nil {
		return nil, nil, err
	}
	return s.readable()
}

// ParseCertificates is [ParseBag], but also accepts signers and content, as some
// servers add to their certificates. It ignores both: the certificates have to prove
// themselves.
func ParseCertificates(ber []byte) (certs []*x509.Certificate, bad []error, err error) {
	s, _, err := parseSignedData(ber)
	if err != nil {
		return nil, nil, err
	}
	return s.readable()
}

// readable returns the certificates of s and what is wrong with others. The error
// wraps [ErrMalformed] if none can be read.
func (s *SignedData) readable() (certs []*x509.Certificate, bad []error, err error) {
	switch {
	case len(s.Certificates) == 0 && len(s.Bad) > 0:
		return nil, s.Bad, fmt.Errorf("cms: %w: no certificate in the bag can be read: %w", ErrMalformed, s.Bad[0])
	case len(s.Certificates) == 0:
		return nil, nil, malformed("no certificate in the bag")
	}
	return s.Certificates, s.Bad, nil
}

// parseBag reads a SignedData that has neither signers nor content.
func parseBag(ber []byte) (*SignedData, error) {
	s, signers, err := parseSignedData(ber)
	switch {
	case err != nil:
		return nil, err
	case !signers.Empty():
		return nil, malformed("a bag of certificates has a signer")
	case len(s.Content) > 0:
		return nil, malformed("a bag of certificates has content")
	}
	return s, nil
}

// ParseCRLs reads the revocation lists in a SignedData without signers. It ignores
// certificates beside them. The error wraps [ErrMalformed] if ber is not such a
// bag, has no revocation list or more than 16, or one cannot be parsed.
func ParseCRLs(ber []byte) ([]*x509.RevocationList, error) {
	s, err := parseBag(ber)
	if err != nil {
		return nil, err
	}
	var lists []*x509.RevocationList
	for !s.crls.Empty() {
		var element cryptobyte.String
		if len(lists) == maxCRLs || !s.crls.ReadASN1Element(&element, cbasn1.SEQUENCE) {
			return nil, malformed("revocation lists")
		}
		list, err := x509.ParseRevocationList(element)
		if err != nil {
			return nil, fmt.Errorf("cms: %w: revocation list: %w", ErrMalformed, err)
		}
		lists = append(lists, list)
	}
	if len(lists) == 0 {
		return nil, malformed("no revocation list in the bag")
	}
	return lists, nil
}

// Bag returns a SignedData without signers, with certificates in their order and
// revocation lists. The error is that of the encoding.
func Bag(certs []*x509.Certificate, crls ...*x509.RevocationList) ([]byte, error) {
	return contentInfo(oidSignedData, func(b *cryptobyte.Builder) {
		b.AddASN1Int64(1)
		b.AddASN1(cbasn1.SET, func(*cryptobyte.Builder) {})
		b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) { b.AddASN1ObjectIdentifier(oidData) })
		addCertificates(b, certs)
		if len(crls) > 0 {
			b.AddASN1(tag1, func(b *cryptobyte.Builder) {
				for _, list := range crls {
					b.AddBytes(list.Raw)
				}
			})
		}
		b.AddASN1(cbasn1.SET, func(*cryptobyte.Builder) {})
	})
}

// addCertificates writes a CertificateSet in the order given, because receivers
// take the first certificate first.
func addCertificates(b *cryptobyte.Builder, certs []*x509.Certificate) {
	b.AddASN1(tag0, func(b *cryptobyte.Builder) {
		for _, c := range certs {
			b.AddBytes(c.Raw)
		}
	})
}
