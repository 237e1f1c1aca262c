// Package joincsr makes the certificate request of a join.
package joincsr

import (
	"crypto"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"fmt"
)

// requestName is the common name that the service wants in every request; the
// certificate gets another.
const requestName = "7E980AD9-B86D-4306-9425-9AC066FB014A"

// oidNonce is the extension that carries a nonce in a certificate request.
var oidNonce = asn1.ObjectIdentifier{1, 2, 840, 113556, 1, 5, 284, 2, 1}

// New returns the PKCS #10 request of a join, in DER, signed by an RSA key with
// SHA-256. A nonce, if not empty, goes into an extension as an OCTET STRING; how
// the public service wants it wrapped is not documented.
func New(key crypto.Signer, nonce string) ([]byte, error) {
	template := &x509.CertificateRequest{
		Subject:            pkix.Name{CommonName: requestName},
		SignatureAlgorithm: x509.SHA256WithRSA,
	}
	if nonce != "" {
		value, err := asn1.Marshal([]byte(nonce))
		if err != nil {
			return nil, fmt.Errorf("certificate request: %w", err)
		}
		template.ExtraExtensions = []pkix.Extension{{Id: oidNonce, Value: value}}
	}
	der, err := x509.CreateCertificateRequest(rand.Reader, template, key)
	if err != nil {
		return nil, fmt.Errorf("certificate request: %w", err)
	}
	return der, nil
}
