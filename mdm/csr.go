package mdm

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"strings"

	"github.com/whiteglove/whiteglove/internal/hresult"
)

// oidsOfRSA begins the OIDs of RSA keys and of signatures with them (RFC 8017).
const oidsOfRSA = "1.2.840.113549.1.1."

// certificateRequest returns a PKCS #10 request (RFC 2986) in DER. Its subject
// is the device's identifier, and it has no attributes because some servers
// refuse them.
func certificateRequest(key crypto.Signer, p *Policy, deviceID string) ([]byte, error) {
	pub, ok := key.Public().(*rsa.PublicKey)
	if !ok {
		return nil, hresult.Errorf(codeKeyCreation, "the key is a %T, not an RSA key", key.Public())
	}
	if p.KeyAlgorithm != "" && !strings.HasPrefix(p.KeyAlgorithm, oidsOfRSA) {
		return nil, hresult.Errorf(codeKeyCreation, "the policy requires a key of algorithm %.60q, not RSA", p.KeyAlgorithm)
	}
	if least := max(p.MinimalKeyLength, defaultKeyLength); pub.N.BitLen() < least {
		return nil, hresult.Errorf(codeKeyCreation, "the key has %d bits, and the policy requires %d", pub.N.BitLen(), least)
	}
	template := &x509.CertificateRequest{
		Subject:            pkix.Name{CommonName: deviceID},
		SignatureAlgorithm: signatureOf(p.Hash),
	}
	der, err := x509.CreateCertificateRequest(rand.Reader, template, key)
	if err != nil {
		return nil, fmt.Errorf("making the certificate request: %w", err)
	}
	return der, nil
}

// signatureOf returns RSASSA-PKCS1-v1_5 with the hash of a policy.
func signatureOf(h crypto.Hash) x509.SignatureAlgorithm {
	switch h {
	case crypto.SHA384:
		return x509.SHA384WithRSA
	case crypto.SHA512:
		return x509.SHA512WithRSA
	}
	return x509.SHA256WithRSA
}
