package challenge

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"errors"
	"fmt"
)

// A Signer is a key that signs and decrypts, such as an *rsa.PrivateKey.
type Signer interface {
	crypto.Signer
	crypto.Decrypter
}

// signerBits is the size of a new key for SCEP messages.
const signerBits = 2048

// NewSigner makes a key for SCEP messages. It is a variable for tests, which must not
// change it while a request is under way.
var NewSigner = func() (Signer, error) { return rsa.GenerateKey(rand.Reader, signerBits) }

// StartSigner begins to make a key for SCEP messages, which takes a processor a tenth of
// a second, unless key is that key. The function that it returns waits for the key; it
// is called at most once, and need not be called.
func StartSigner(key Signer) func() (Signer, error) {
	if key != nil {
		return func() (Signer, error) { return key, nil }
	}
	type result struct {
		key Signer
		err error
	}
	made := make(chan result, 1)
	go func(generate func() (Signer, error)) {
		key, err := generate()
		made <- result{key, err}
	}(NewSigner)
	return func() (Signer, error) {
		r := <-made
		return r.key, r.err
	}
}

// marshalSigner returns a key in PKCS #8, or nil if it cannot be exported.
func marshalSigner(key Signer) ([]byte, error) {
	k, ok := key.(*rsa.PrivateKey)
	if !ok {
		return nil, nil
	}
	der, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		return nil, fmt.Errorf("signer: %w", err)
	}
	return der, nil
}

// parseSigner reads the key of cert in PKCS #8.
func parseSigner(der []byte, cert *x509.Certificate) (Signer, error) {
	key, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		return nil, fmt.Errorf("signer: %w", err)
	}
	k, ok := key.(*rsa.PrivateKey)
	if !ok || !k.PublicKey.Equal(cert.PublicKey) {
		return nil, errors.New("signer: not the RSA key of its certificate")
	}
	return k, nil
}
