package mdm

import (
	"crypto/sha1"
	"crypto/x509"
	"encoding/hex"
	"fmt"
	"strings"

	"github.com/whiteglove/whiteglove/internal/hresult"
)

// A StoredCertificate is a certificate of a provisioning document and the store
// it is meant for.
type StoredCertificate struct {
	Store       string // "Root", "CA" or "My"
	Scope       string // "System" or "User"
	Certificate *x509.Certificate
}

// stores are those that a provisioning document may fill.
var stores = []struct{ store, scope string }{
	{"Root", "System"}, {"CA", "System"}, {"My", "System"}, {"My", "User"},
}

// Certificates returns the document's certificates, those of each store
// together. One that is not filed under its own thumbprint (SHA-1 of its DER,
// in hexadecimal) is an error, as is one that cannot be read.
func (d *Document) Certificates() ([]StoredCertificate, error) {
	all, err := d.certificates()
	if err != nil {
		return nil, fmt.Errorf("mdm: %w", err)
	}
	return all, nil
}

func (d *Document) certificates() ([]StoredCertificate, error) {
	var all []StoredCertificate
	for _, s := range stores {
		for _, store := range d.Find("CertificateStore", s.store, s.scope) {
			for _, c := range store.Characteristics {
				text, ok := c.Parm("EncodedCertificate")
				if !ok {
					continue // such as PrivateKeyContainer
				}
				if err := c.sole("EncodedCertificate"); err != nil {
					return nil, hresult.Errorf(codeProvCertStore, "%w", err)
				}
				cert, err := readCertificate(c.Type, text)
				if err != nil {
					return nil, err
				}
				all = append(all, StoredCertificate{s.store, s.scope, cert})
			}
		}
	}
	return all, nil
}

func readCertificate(thumbprint, text string) (*x509.Certificate, error) {
	der, err := decode64(text)
	if err != nil {
		return nil, hresult.Errorf(codeProvCertStore, "certificate %.60q: %w", thumbprint, err)
	}
	sum := sha1.Sum(der) // the protocol's name for a certificate, not a proof
	if !strings.EqualFold(thumbprint, hex.EncodeToString(sum[:])) {
		return nil, hresult.Errorf(codeProvCertStore, "certificate %.60q has thumbprint %x", thumbprint, sum)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, hresult.Errorf(codeProvCertStore, "certificate %.60q: %w", thumbprint, err)
	}
	return cert, nil
}
