package aik

import (
	"crypto"
	"crypto/x509"

	"github.com/whiteglove/whiteglove/internal/challenge"
	"github.com/whiteglove/whiteglove/internal/wcce"
)

// Check has c check a certificate for key and the TPM named by the certificate
// itself, sent by a CA with the given chain.
func Check(c *Client, key crypto.PublicKey, leaf *x509.Certificate, ca []*x509.Certificate) ([]*x509.Certificate, error) {
	device, _, err := challenge.AltName(leaf.Extensions)
	if err != nil {
		device = &wcce.Device{}
	}
	return c.check(&challenge.Subject{Key: key, Device: *device}, []*x509.Certificate{leaf}, ca)
}
