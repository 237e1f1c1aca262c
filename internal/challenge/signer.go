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

func newSigner() (Signer, error) { return rsa.GenerateKey(rand.Reader, signerBits) }

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
