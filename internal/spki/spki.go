// Package spki reads public keys as certificate requests have them.
package spki

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"errors"
)

var errForm = errors.New("the public key has something else in it")

// Parse reads a SubjectPublicKeyInfo (RFC 5280, section 4.1.2.7), DER. Other than
// [x509.ParsePKIXPublicKey], which passes over what is behind the key in it, it
// takes only the one form that a key has: who knows keys by a hash of it would
// not know them in another.
func Parse(der []byte) (crypto.PublicKey, error) {
	key, err := x509.ParsePKIXPublicKey(der)
	if err != nil {
		return nil, err
	}
	again, err := x509.MarshalPKIXPublicKey(key)
	if err != nil {
		return nil, err
	}
	if !bytes.Equal(again, der) {
		return nil, errForm
	}
	return key, nil
}
