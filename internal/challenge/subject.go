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

// A Subject is what a certificate is to be of.
type Subject struct {
	Key    crypto.PublicKey
	Device wcce.Device // the TPM
}

// Requested returns what a request asks a certificate for.
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

// AltName returns the TPM that the subject alternative name among exts names,
// and whether that is critical.
func AltName(exts []pkix.Extension) (device *wcce.Device, critical bool, err error) {
	for _, e := range exts {
		if e.Id.Equal(wcce.OIDSubjectAltName) {
			device, err = wcce.ParseAltName(e.Value)
			return device, e.Critical, err
		}
	}
	return nil, false, errors.New("no subject alternative name")
}

// Chains returns the chains from leaf to roots. What it may be used for is not
// looked at, and neither is its alternative name, which may be a TPM's, of which
// crypto/x509 knows nothing.
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
