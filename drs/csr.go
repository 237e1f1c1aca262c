package drs

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"fmt"
)

// requestName is the common name that the service wants in every request; the
// certificate gets another.
const requestName = "7E980AD9-B86D-4306-9425-9AC066FB014A"

// keyBits is the size of a device key.
const keyBits = 2048

// oidNonce is the extension that carries a nonce in a certificate request.
var oidNonce = asn1.ObjectIdentifier{1, 2, 840, 113556, 1, 5, 284, 2, 1}

// CertificateRequest returns the PKCS #10 request of a join, in DER, signed by
// an RSA key of 2048 bits with SHA-256. A nonce from [Client.Nonce], if not
// empty, goes into an extension as an OCTET STRING; how the public service
// wants it wrapped is not documented.
func CertificateRequest(key crypto.Signer, nonce string) ([]byte, error) {
	if _, err := deviceKey(key); err != nil {
		return nil, fmt.Errorf("drs: certificate request: %w", err)
	}
	template := &x509.CertificateRequest{
		Subject:            pkix.Name{CommonName: requestName},
		SignatureAlgorithm: x509.SHA256WithRSA,
	}
	if nonce != "" {
		value, err := asn1.Marshal([]byte(nonce))
		if err != nil {
			return nil, fmt.Errorf("drs: certificate request: %w", err)
		}
		template.ExtraExtensions = []pkix.Extension{{Id: oidNonce, Value: value}}
	}
	der, err := x509.CreateCertificateRequest(rand.Reader, template, key)
	if err != nil {
		return nil, fmt.Errorf("drs: certificate request: %w", err)
	}
	return der, nil
}

// deviceKey returns the public part of a device key, which must be RSA with
// 2048 bits.
func deviceKey(key crypto.Signer) (*rsa.PublicKey, error) {
	if key == nil {
		return nil, errors.New("no device key")
	}
	pub, ok := key.Public().(*rsa.PublicKey)
	if !ok {
		return nil, fmt.Errorf("device key is %T, not RSA", key.Public())
	}
	if n := pub.N.BitLen(); n != keyBits {
		return nil, fmt.Errorf("device key has %d bits, not %d", n, keyBits)
	}
	return pub, nil
}
