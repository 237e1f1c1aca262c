package drstest

import (
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"

	"github.com/whiteglove/whiteglove/internal/cms"
)

// maxChain is the largest number of further certificates that a request may have.
const maxChain = 10

// leaf returns the first certificate of an x5c header. RFC 7515 has an array of strings there,
// but many clients send one string.
func leaf(x5c any) (*x509.Certificate, error) {
	text, ok := x5c.(string)
	if list, isList := x5c.([]any); isList && len(list) > 0 {
		text, ok = list[0].(string)
	}
	if !ok {
		return nil, errors.New("no certificate in x5c")
	}
	der, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return nil, fmt.Errorf("x5c: %w", err)
	}
	return parseCertificate(der)
}

// parseCertificate parses a certificate of a client. It refuses one with an RSA key that
// takes long to use.
func parseCertificate(der []byte) (*x509.Certificate, error) {
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, err
	}
	return cert, cms.CheckKey(cert.PublicKey)
}

// parseChain parses a certificate and its chain.
func parseChain(first []byte, rest [][]byte) ([]*x509.Certificate, error) {
	if len(rest) > maxChain {
		return nil, fmt.Errorf("the chain has %d certificates, more than %d", len(rest), maxChain)
	}
	var out []*x509.Certificate
	for _, der := range append([][]byte{first}, rest...) {
		cert, err := parseCertificate(der)
		if err != nil {
			return nil, err
		}
		out = append(out, cert)
	}
	return out, nil
}
