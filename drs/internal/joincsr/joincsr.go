// Package joincsr makes the certificate request of a join.
package joincsr

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"fmt"
)

// requestName is the common name that the service demands in every request ([MS-DVRJ]).
// The certificate has another one.
const requestName = "7E980AD9-B86D-4306-9425-9AC066FB014A"

// oidNonce is the extension with the nonce in a certificate request.
var oidNonce = asn1.ObjectIdentifier{1, 2, 840, 113556, 1, 5, 284, 2, 1}

// New returns the PKCS #10 request of a join in DER. key is an RSA key, which signs with
// PKCS #1 v1.5 and SHA-256, or a key on P-256, which signs with ECDSA and SHA-256. nonce, unless it is empty, is the contents of an OCTET STRING
// in an extension; which form the public service expects is not documented. The error is
// that of key.
func New(key crypto.Signer, nonce string) ([]byte, error) {
	template := &x509.CertificateRequest{
		Subject:            pkix.Name{CommonName: requestName},
		SignatureAlgorithm: x509.SHA256WithRSA,
	}
	if _, ok := key.Public().(*ecdsa.PublicKey); ok {
		template.SignatureAlgorithm = x509.ECDSAWithSHA256
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
