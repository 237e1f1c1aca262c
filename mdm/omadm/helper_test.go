package omadm_test

import (
	"crypto"
	"crypto/sha1"
	"crypto/x509"
	"fmt"
	"io"
)

// sha1Hex is a certificate's thumbprint.
func sha1Hex(c *x509.Certificate) string { return fmt.Sprintf("%X", sha1.Sum(c.Raw)) }

// A counting key counts its signatures.
type counting struct {
	crypto.Signer
	signs int
}

func (c *counting) Sign(r io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	c.signs++
	return c.Signer.Sign(r, digest, opts)
}
