package mdm

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"strings"

	"github.com/whiteglove/whiteglove/internal/hresult"
	"github.com/whiteglove/whiteglove/internal/wire"
)

// oidsOfRSA begins the OIDs of RSA keys and of signatures with them (RFC 8017).
const oidsOfRSA = "1.2.840.113549.1.1."

// errShortKey means that a key is shorter than the policy asks for.
var errShortKey = errors.New("the key is too short")

// certificateRequest returns a PKCS #10 request (RFC 2986) in DER. Its subject
// is the device's identifier, and it has no attributes because some servers
// refuse them.
//
// If c.ShortKeys is set, a key may be shorter than the policy asks for.
func (c *Client) certificateRequest(ctx context.Context, key crypto.Signer, p *Policy) ([]byte, error) {
	pub, ok := key.Public().(*rsa.PublicKey)
	if !ok {
		return nil, hresult.Errorf(codeKeyCreation, "the management key is %s: an enrollment needs an RSA key, of 2048 bits or as the policy says", wire.KeyKind(key.Public()))
	}
	if p.KeyAlgorithm != "" && !strings.HasPrefix(p.KeyAlgorithm, oidsOfRSA) {
		return nil, hresult.Errorf(codeKeyCreation, "the policy requires a key of algorithm %.60q, not RSA", p.KeyAlgorithm)
	}
	switch bits, least := pub.N.BitLen(), max(p.MinimalKeyLength, defaultKeyLength); {
	case bits < defaultKeyLength, bits < least && !c.ShortKeys:
		return nil, hresult.Errorf(codeKeyCreation, "%w: the key has %d bits, and the policy requires %d", errShortKey, bits, least)
	case bits < least && c.Logger != nil:
		c.Logger.WarnContext(ctx, "mdm key is shorter than the policy requires", "bits", bits, "policy", least)
	}
	template := &x509.CertificateRequest{
		Subject:            pkix.Name{CommonName: c.Device.WithDefaults().ID},
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
