package drstest

import (
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
)

// maxChain limits the certificates that a request may carry.
const maxChain = 10

// leaf returns the first certificate of an x5c header. It is an array of
// strings by the book, but a string from many clients.
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
	return x509.ParseCertificate(der)
}

// parseChain returns a certificate and those that came with it.
func parseChain(first []byte, rest [][]byte) ([]*x509.Certificate, error) {
	if len(rest) > maxChain {
		return nil, fmt.Errorf("%d certificates", len(rest))
	}
	var out []*x509.Certificate
	for _, der := range append([][]byte{first}, rest...) {
		cert, err := x509.ParseCertificate(der)
		if err != nil {
			return nil, err
		}
		out = append(out, cert)
	}
	return out, nil
}
