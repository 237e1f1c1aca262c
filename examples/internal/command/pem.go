package command

import (
	"crypto"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
)

// ReadCertificates reads the certificates in a PEM file. A file without a
// certificate is an error.
func ReadCertificates(name string) ([]*x509.Certificate, error) {
	text, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	return ParseCertificates(name, text)
}

// ParseCertificates parses PEM as [ReadCertificates] does. Errors begin with
// name.
func ParseCertificates(name string, text []byte) ([]*x509.Certificate, error) {
	var certs []*x509.Certificate
	err := eachBlock(name, text, func(b *pem.Block) error {
		if b.Type != "CERTIFICATE" {
			return nil
		}
		cert, err := x509.ParseCertificate(b.Bytes)
		certs = append(certs, cert)
		return err
	})
	if err == nil && len(certs) == 0 {
		err = fmt.Errorf("%s: no certificate in it%s", name, asDER(text))
	}
	return certs, err
}

// asDER says what to do with a file that is not PEM.
func asDER(text []byte) string {
	if _, err := x509.ParseCertificate(text); err == nil {
		return ", as it is in DER: convert it to PEM (openssl x509 -inform DER)"
	}
	return ": name a file in PEM"
}

// ReadRoots reads the certificates in the PEM file that a flag names into a pool. Without
// a name it returns nil, which stands for the system's roots.
func ReadRoots(flag, name string) (*x509.CertPool, error) {
	if name == "" {
		return nil, nil
	}
	certs, err := ReadCertificates(name)
	if err != nil {
		return nil, Wrong(flag, err)
	}
	return Pool(certs), nil
}

// Pool returns certs as a pool.
func Pool(certs []*x509.Certificate) *x509.CertPool {
	pool := x509.NewCertPool()
	for _, c := range certs {
		pool.AddCert(c)
	}
	return pool
}

// ReadKeys reads public keys from a PEM file: those of PUBLIC KEY blocks and
// those of certificates. A file without either is an error.
func ReadKeys(name string) ([]crypto.PublicKey, error) {
	text, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	var keys []crypto.PublicKey
	err = eachBlock(name, text, func(b *pem.Block) error {
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
				return errors.New("the key of a certificate is of a kind that is not supported")
			}
			keys = append(keys, cert.PublicKey)
		}
		return nil
	})
	if err == nil && len(keys) == 0 {
		err = fmt.Errorf("%s: no public key or certificate in it%s", name, asDER(text))
	}
	return keys, err
}

// eachBlock calls f with each PEM block until it fails.
func eachBlock(name string, text []byte, f func(*pem.Block) error) error {
	for b, rest := pem.Decode(text); b != nil; b, rest = pem.Decode(rest) {
		if err := f(b); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}

// EncodeCertificates returns certificates as PEM.
func EncodeCertificates(certs ...*x509.Certificate) []byte {
	var text []byte
	for _, c := range certs {
		text = append(text, EncodeDER(c.Raw)...)
	}
	return text
}

// EncodeDER returns certificates in DER as PEM.
func EncodeDER(certs ...[]byte) []byte {
	var text []byte
	for _, der := range certs {
		text = append(text, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})...)
	}
	return text
}
