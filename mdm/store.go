package mdm

import (
	"crypto/sha1"
	"crypto/x509"
	"encoding/hex"
	"fmt"
	"strings"

	"github.com/whiteglove/whiteglove/internal/cms"
	"github.com/whiteglove/whiteglove/internal/hresult"
)

// A StoredCertificate is a certificate of a provisioning document and the store
// of Windows that it is meant for.
type StoredCertificate struct {
	Store       string // "Root" for roots, "CA" for issuers, "My" for the device's own
	Scope       string // "System" or "User"; "System" for Root and CA
	Certificate *x509.Certificate
}

// maxCertificates is how many certificates a document may have, so that a server
// cannot choose how long their signatures take to check.
const maxCertificates = 64

// stores are the stores that a provisioning document may fill.
var stores = []struct{ store, scope string }{
	{"Root", "System"}, {"CA", "System"}, {"My", "System"}, {"My", "User"},
}

// Certificates returns the document's certificates, ordered by store: roots,
// issuers, the device's own. Each must be filed under its thumbprint, the SHA-1
// of its DER in hexadecimal of any letter case.
//
// The error is of no exported type. It is not nil if a certificate cannot be
// read, or is filed under another thumbprint, or appears twice in one place, or
// has an RSA key of more than 8192 bits or an exponent over 32 bits, or if there
// are more than 64. It wraps an error with a method HRESULT() uint32 that returns
// 0x8018001E, as Windows shows.
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
				if len(all) == maxCertificates {
					return nil, hresult.Errorf(codeProvCertStore, "the document has more than %d certificates", maxCertificates)
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

// readCertificate reads a certificate in base64, which may be broken into
// lines.
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
	if err := cms.CheckKey(cert.PublicKey); err != nil {
		return nil, hresult.Errorf(codeProvCertStore, "certificate %.60q: %w", thumbprint, err)
	}
	return cert, nil
}
