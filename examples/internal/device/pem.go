package device

import (
	"crypto"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
)

// ReadCertificates reads the certificates in a PEM file.
func ReadCertificates(name string) ([]*x509.Certificate, error) {
	var certs []*x509.Certificate
	err := eachBlock(name, func(b *pem.Block) error {
		if b.Type != "CERTIFICATE" {
			return nil
		}
		cert, err := x509.ParseCertificate(b.Bytes)
		certs = append(certs, cert)
		return err
	})
	if err == nil && len(certs) == 0 {
		err = fmt.Errorf("%s: no certificate in it", name)
	}
	return certs, err
}

// ReadKeys reads public keys from a PEM file: PUBLIC KEY blocks and the keys of
// certificates.
func ReadKeys(name string) ([]crypto.PublicKey, error) {
	var keys []crypto.PublicKey
	err := eachBlock(name, func(b *pem.Block) error {
		switch b.Type {
		case "PUBLIC KEY":
			key, err := x509.ParsePKIXPublicKey(b.Bytes)
			keys = append(keys, key)
			return err
		case "CERTIFICATE":
			cert, err := x509.ParseCertificate(b.Bytes)
			if err != nil {
				return err
			}
			if cert.PublicKey == nil {
				return errors.New("a certificate's key is of a kind that is not supported")
			}
			keys = append(keys, cert.PublicKey)
		}
		return nil
	})
	if err == nil && len(keys) == 0 {
		err = fmt.Errorf("%s: no public key or certificate in it", name)
	}
	return keys, err
}

func eachBlock(name string, f func(*pem.Block) error) error {
	text, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	for {
		var b *pem.Block
		if b, text = pem.Decode(text); b == nil {
			return nil
		}
		if err := f(b); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
}

// EncodeCertificates returns certificates as PEM.
func EncodeCertificates(certs ...[]byte) []byte {
	var text []byte
	for _, der := range certs {
		text = append(text, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})...)
	}
	return text
}
