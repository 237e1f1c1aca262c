// Package spki parses public keys in the form in which certificate requests contain
// them.
package spki

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"errors"

	"github.com/whiteglove/whiteglove/internal/cms"
)

var errForm = errors.New("the public key is not in canonical DER form")

// Parse parses a SubjectPublicKeyInfo (RFC 5280, section 4.1.2.7) in DER. Unlike
// [x509.ParsePKIXPublicKey], which ignores additional elements after the key, it
// accepts a key only in its canonical form, that of [x509.MarshalPKIXPublicKey]. A
// service that identifies keys by a hash of this form would not recognize a key in
// another form. Parse fails if der is malformed, if the type of the key is not
// supported, if it is one that [cms.CheckKey] refuses, or if the form is not canonical.
func Parse(der []byte) (crypto.PublicKey, error) {
	key, err := x509.ParsePKIXPublicKey(der)
	if err != nil {
		return nil, err
	}
	if err := cms.CheckKey(key); err != nil {
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
