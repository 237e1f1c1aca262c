package pkimsg

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	_ "crypto/sha256"
	_ "crypto/sha512"
	"crypto/x509"
	"encoding/asn1"
	"fmt"
	"unicode/utf8"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// maxPassword is the largest size of a challengePassword, in bytes (RFC 2985,
// section 5.4.1).
const maxPassword = 255

// NewCSR returns a PKCS #10 request in DER for key, which is an RSA key or an
// ECDSA key on P-256, P-384 or P-521. It has the subject, names and extensions
// that [x509.CreateCertificateRequest] takes from template, and a
// challengePassword unless password is empty.
//
// key signs once. crypto/x509 cannot write the challengePassword; therefore it
// makes a request for a temporary key, and NewCSR replaces its key and signature.
//
// The error says that the key, the password or the template cannot be used, or
// wraps the error of key.
func NewCSR(template *x509.CertificateRequest, key crypto.Signer, password string) ([]byte, error) {
	alg, err := signatureOf(key.Public())
	if err != nil {
		return nil, err
	}
	if len(password) > maxPassword || !utf8.ValidString(password) {
		return nil, fmt.Errorf("pkimsg: challengePassword has over %d bytes or is not UTF-8", maxPassword)
	}
	spki, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		return nil, fmt.Errorf("pkimsg: %w", err)
	}
	own := *template
	own.SignatureAlgorithm, own.PublicKey = 0, nil
	temporary, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("pkimsg: %w", err)
	}
	der, err := x509.CreateCertificateRequest(rand.Reader, &own, temporary)
	if err != nil {
		return nil, fmt.Errorf("pkimsg: %w", err)
	}
	info, err := requestInfo(der, spki, password)
	if err != nil {
		return nil, err
	}
	digest := alg.hash.New()
	digest.Write(info)
	signature, err := key.Sign(rand.Reader, digest.Sum(nil), alg.hash)
	if err != nil {
		return nil, fmt.Errorf("pkimsg: signing the PKCS #10 request: %w", err)
	}
	b := cryptobyte.NewBuilder(nil)
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddBytes(info)
		b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
			b.AddASN1ObjectIdentifier(alg.id)
			if alg.null {
				b.AddASN1NULL()
			}
		})
		b.AddASN1BitString(signature)
	})
	return b.Bytes()
}

// requestInfo returns the CertificationRequestInfo of the request der, with the
// key spki and the password.
func requestInfo(der, spki []byte, password string) ([]byte, error) {
	csr, err := readRequest(der)
	if err != nil {
		return nil, err
	}
	b := cryptobyte.NewBuilder(nil)
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1Int64(0)
		b.AddBytes(csr.subject)
		b.AddBytes(spki)
		b.AddASN1(attributesTag, func(b *cryptobyte.Builder) {
			// In DER, the shorter attribute comes first. If both have the same
			// length, the password does: its object identifier is less than that
			// of extensionRequest.
			attribute := passwordAttribute(password)
			if len(attribute) <= len(csr.attributes) {
				b.AddBytes(attribute)
				b.AddBytes(csr.attributes)
				return
			}
			b.AddBytes(csr.attributes)
			b.AddBytes(attribute)
		})
	})
	return b.Bytes()
}

// passwordAttribute returns the attribute challengePassword, or nil if password is
// empty.
func passwordAttribute(password string) []byte {
	if password == "" {
		return nil
	}
	tag := cbasn1.UTF8String
	if printable(password) {
		tag = cbasn1.PrintableString
	}
	b := cryptobyte.NewBuilder(nil)
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1ObjectIdentifier(oidChallengePassword)
		b.AddASN1(cbasn1.SET, func(b *cryptobyte.Builder) {
			b.AddASN1(tag, func(b *cryptobyte.Builder) { b.AddBytes([]byte(password)) })
		})
	})
	der, _ := b.Bytes() // nothing in it can fail
	return der
}

// Password returns the challengePassword of a PKCS #10 request in DER, or "" if it
// has none. The error wraps [cms.ErrMalformed] if the request or its attributes
// cannot be parsed, or there are two passwords.
func Password(der []byte) (string, error) {
	csr, err := readRequest(der)
	if err != nil {
		return "", err
	}
	password := ""
	for in := csr.attributes; !in.Empty(); {
		var attribute, values, value cryptobyte.String
		var id asn1.ObjectIdentifier
		var tag cbasn1.Tag
		if !in.ReadASN1(&attribute, cbasn1.SEQUENCE) || !attribute.ReadASN1ObjectIdentifier(&id) ||
			!attribute.ReadASN1(&values, cbasn1.SET) {
			return "", malformed("attributes of a PKCS #10 request")
		}
		if !id.Equal(oidChallengePassword) {
			continue
		}
		if password != "" || !values.ReadAnyASN1(&value, &tag) || !values.Empty() || len(value) == 0 ||
			len(value) > maxPassword || !isText(tag) {
			return "", malformed("challengePassword")
		}
		password = string(value)
	}
	return password, nil
}

// isText reports whether tag is that of a string type that peers use for the
// password.
func isText(tag cbasn1.Tag) bool {
	return tag == cbasn1.PrintableString || tag == cbasn1.UTF8String || tag == cbasn1.IA5String || tag == cbasn1.T61String
}

// A signing is the algorithm with which a key signs a PKCS #10 request.
type signing struct {
	hash crypto.Hash
	id   asn1.ObjectIdentifier // of the signature algorithm
	null bool                  // its parameters are NULL rather than absent
}

// signatureOf returns the algorithm for a key.
func signatureOf(pub crypto.PublicKey) (signing, error) {
	switch pub := pub.(type) {
	case *rsa.PublicKey:
		return signing{crypto.SHA256, asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 11}, true}, nil
	case *ecdsa.PublicKey:
		switch pub.Curve {
		case elliptic.P256():
			return signing{crypto.SHA256, asn1.ObjectIdentifier{1, 2, 840, 10045, 4, 3, 2}, false}, nil
		case elliptic.P384():
			return signing{crypto.SHA384, asn1.ObjectIdentifier{1, 2, 840, 10045, 4, 3, 3}, false}, nil
		case elliptic.P521():
			return signing{crypto.SHA512, asn1.ObjectIdentifier{1, 2, 840, 10045, 4, 3, 4}, false}, nil
		}
	}
	return signing{}, fmt.Errorf("pkimsg: a key of type %T cannot sign a PKCS #10 request", pub)
}
