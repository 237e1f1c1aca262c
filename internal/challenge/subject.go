package challenge

import (
	"crypto"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/whiteglove/whiteglove/internal/spki"
	"github.com/whiteglove/whiteglove/internal/wcce"
)

// A Subject is the key and the TPM that a request asks a certificate for.
type Subject struct {
	Key    crypto.PublicKey
	Device wcce.Device // name of the TPM
}

// Requested returns the subject of a PKCS #10 request in DER. Its signature is not
// checked. The error wraps [wcce.ErrFormat] if the request or the name of the TPM
// cannot be parsed, else says what is wrong with its key or that it has no name.
func Requested(der []byte) (*Subject, error) {
	csr, err := wcce.ParseCSR(der)
	if err != nil {
		return nil, err
	}
	key, err := spki.Parse(csr.PublicKey)
	if err != nil {
		return nil, fmt.Errorf("request: %w", err)
	}
	exts, err := csr.Extensions()
	if err != nil {
		return nil, err
	}
	device, _, err := AltName(exts)
	if err != nil {
		return nil, err
	}
	return &Subject{Key: key, Device: *device}, nil
}

// AltNameValue returns the value of the extension subjectAltName among exts, in DER, or
// nil if there is none.
func AltNameValue(exts []pkix.Extension) []byte {
	for _, e := range exts {
		if e.Id.Equal(wcce.OIDSubjectAltName) {
			return e.Value
		}
	}
	return nil
}

// AltName returns the name of the TPM in the extension subjectAltName among exts, and
// whether the extension is critical. The error says that there is no such extension,
// or is that of [wcce.ParseAltName].
func AltName(exts []pkix.Extension) (device *wcce.Device, critical bool, err error) {
	for _, e := range exts {
		if e.Id.Equal(wcce.OIDSubjectAltName) {
			device, err = wcce.ParseAltName(e.Value)
			return device, e.Critical, err
		}
	}
	return nil, false, errors.New("no subject alternative name")
}

// Chains returns the chains from leaf to roots. It accepts every extended key usage,
// and a critical subject alternative name, which may be the name of a TPM that
// crypto/x509 does not know. The error is that of [x509.Certificate.Verify].
func Chains(leaf *x509.Certificate, roots, issuers *x509.CertPool, now time.Time) ([][]*x509.Certificate, error) {
	own := *leaf
	own.UnhandledCriticalExtensions = slices.DeleteFunc(slices.Clone(leaf.UnhandledCriticalExtensions), wcce.OIDSubjectAltName.Equal)
	return own.Verify(x509.VerifyOptions{
		Roots: roots, Intermediates: issuers, CurrentTime: now,
		KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny},
	})
}

// Pool returns a pool of certificates.
func Pool(certs []*x509.Certificate) *x509.CertPool {
	pool := x509.NewCertPool()
	for _, c := range certs {
		pool.AddCert(c)
	}
	return pool
}
