package aik

import (
	"crypto"
	"crypto/x509"

	"github.com/whiteglove/whiteglove/internal/wcce"
	"github.com/whiteglove/whiteglove/scep"
)

// Check has c check a certificate for key and the TPM named by the certificate
// itself, sent by a CA with the given chain.
func Check(c *Client, key crypto.PublicKey, leaf *x509.Certificate, ca []*x509.Certificate) ([]*x509.Certificate, error) {
	device, err := altName(leaf)
	if err != nil {
		device = &wcce.Device{}
	}
	return c.check(&Challenge{key: key, device: *device, ca: &scep.CA{Chain: ca}}, []*x509.Certificate{leaf})
}
