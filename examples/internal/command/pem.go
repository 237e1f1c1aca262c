package command

import (
	"bytes"
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
)

// ReadCertificates reads the certificates in a PEM file. A file without a
// certificate is an error.
func ReadCertificates(name string) ([]*x509.Certificate, error) {
	text, err := readPEM(name)
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

// rootsHint is [RootsHint] for the roots that are in a file now.
func rootsHint(err error, name string) string {
	if name == "" || !errors.As(err, new(x509.UnknownAuthorityError)) {
		return ""
	}
	roots, rerr := ReadCertificates(name)
	if rerr != nil {
		return ""
	}
	return RootsHint(err, name, roots)
}

// RootsHint returns a sentence about the roots that the flag -roots named by the name of their
// file, if a server leads to none of them, or "".
func RootsHint(err error, name string, roots []*x509.Certificate) string {
	var refused *tls.CertificateVerificationError
	if len(roots) == 0 || !errors.As(err, &refused) || !errors.As(err, new(x509.UnknownAuthorityError)) {
		return ""
	}
	hint := fmt.Sprintf("The file %s (-roots) has none of the server's issuers.", name)
	for _, root := range roots {
		for _, cert := range refused.UnverifiedCertificates {
			switch {
			case !bytes.Equal(cert.RawIssuer, root.RawSubject):
			case cert.CheckSignatureFrom(root) == nil:
				return ""
			default:
				hint = fmt.Sprintf("The file %s (-roots) has a root %q, but with another key: the file is of another server, or from before this one was set up anew.", name, root.Subject)
			}
		}
	}
	return hint
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
	text, err := readPEM(name)
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

// eachBlock calls f with each PEM block until it fails. A block that cannot be read is an error.
func eachBlock(name string, text []byte, f func(*pem.Block) error) error {
	if isCut(text) {
		return fmt.Errorf("%s: its PEM ends in the middle of a block: take the whole file", name)
	}
	left := bytes.Count(text, []byte("-----BEGIN "))
	for b, rest := pem.Decode(text); b != nil; b, rest = pem.Decode(rest) {
		left--
		if err := f(b); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	if left > 0 { // pem.Decode passes over it
		return fmt.Errorf("%s: a block of its PEM is damaged: take the file again from where it came", name)
	}
	return nil
}

// isCut reports whether a text in PEM ends before its last block does.
func isCut(text []byte) bool {
	begin := bytes.LastIndex(text, []byte("-----BEGIN "))
	if begin < 0 {
		return false
	}
	_, label, ok := bytes.Cut(text[begin:], []byte("-----END "))
	return !ok || !bytes.Contains(label, []byte("-----"))
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
