package whiteglove

import (
	"bytes"
	"context"
	"crypto"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"fmt"

	"github.com/whiteglove/whiteglove/attest"
	"github.com/whiteglove/whiteglove/ekcert"
)

// findEK finds the endorsement key to work with and its certificate, and
// checks both. It takes the first key that has a certificate.
func (r *run) findEK(ctx context.Context) (bool, error) {
	if len(r.state.EKSHA256) > 0 {
		return true, r.resumeEK(ctx)
	}
	cert, err := r.findCertificate(ctx)
	if err != nil {
		return false, err
	}
	report, err := r.EKCert.Verify(ctx, cert, r.ek.Public)
	if err != nil {
		return false, err
	}
	for _, f := range report.Findings {
		r.debug("endorsement certificate", "finding", f.ID, "detail", f.Detail)
	}
	r.ekChain = report.Chain
	r.state.EKCertificates = rawChain(r.ekChain)
	r.state.EKSHA256, err = spkiSHA256(r.ek.Public)
	return false, err
}

// findCertificate sets r.ek and returns its certificate: from the TPM or the
// system, else from the maker's CA or, without one, the maker's service.
func (r *run) findCertificate(ctx context.Context) (*ekcert.Certificate, error) {
	var first *attest.EK
	for ek, err := range r.selectedEKs(ctx) {
		if err != nil {
			return nil, err
		}
		r.ek = ek
		if r.EnrollEK {
			return r.enrollEK(ctx)
		}
		cert, err := r.EKCert.Find(ctx, r.TPM, "", ek.Public)
		if err == nil || !errors.Is(err, ekcert.ErrNotFound) {
			return cert, err
		}
		if first == nil {
			first = ek
		}
	}
	if first == nil {
		return nil, fmt.Errorf("%w that may be used", attest.ErrNotFound)
	}
	r.ek = first
	if r.EKCert.SCEPURL != "" {
		return r.enrollEK(ctx)
	}
	return r.fetchCertificate(ctx)
}

// fetchCertificate asks the service of the TPM's maker, if it has one. The
// error says what can be done, which depends on the maker.
func (r *run) fetchCertificate(ctx context.Context) (*ekcert.Certificate, error) {
	info, err := r.TPM.Info(ctx)
	if err != nil {
		return nil, err
	}
	return r.EKCert.Find(ctx, r.TPM, info.Manufacturer, r.ek.Public)
}

// selectedEKs yields the endorsement keys that may be used.
func (r *run) selectedEKs(ctx context.Context) func(yield func(*attest.EK, error) bool) {
	return func(yield func(*attest.EK, error) bool) {
		for ek, err := range r.TPM.EKs(ctx) {
			if err == nil && r.SelectEK != nil && !r.SelectEK(ek) {
				continue
			}
			if !yield(ek, err) || err != nil {
				return
			}
		}
	}
}

// enrollEK has the maker's CA certify r.ek. The attestation key that proves it
// is the one that is certified in the next step.
func (r *run) enrollEK(ctx context.Context) (*ekcert.Certificate, error) {
	info, err := r.TPM.Info(ctx)
	if err != nil {
		return nil, err
	}
	if err := r.attestationKey(ctx); err != nil {
		return nil, err
	}
	creation := r.aik.Creation()
	if creation == nil {
		return nil, fmt.Errorf("%w: the attestation key has no creation statement", attest.ErrProof)
	}
	return r.EKCert.Enroll(ctx, &ekcert.Enrollment{
		Vendor: info.Manufacturer, Model: info.Vendor, Version: info.Firmware,
		EK: r.ek.Public, AIK: ekcert.Statement(*creation), Activate: r.activateBytes,
	})
}

// resumeEK finds the endorsement key of the stored state in this TPM.
func (r *run) resumeEK(ctx context.Context) (err error) {
	if r.ekChain, err = parseChain(r.state.EKCertificates); err != nil {
		return err
	}
	for ek, err := range r.selectedEKs(ctx) {
		if err != nil {
			return err
		}
		sum, err := spkiSHA256(ek.Public)
		if err != nil {
			return err
		}
		if bytes.Equal(sum, r.state.EKSHA256) {
			r.ek = ek
			return nil
		}
	}
	return fmt.Errorf("%w: it is of another TPM: no endorsement key here is %x", ErrState, r.state.EKSHA256)
}

// activateBytes opens a credential for the run's keys.
func (r *run) activateBytes(ctx context.Context, blob, secret []byte) ([]byte, error) {
	return r.TPM.ActivateCredential(ctx, r.ek, r.aik, &attest.Credential{Blob: blob, Secret: secret})
}

// spkiSHA256 returns the SHA-256 of a key's SubjectPublicKeyInfo.
func spkiSHA256(pub crypto.PublicKey) ([]byte, error) {
	der, err := x509.MarshalPKIXPublicKey(pub)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(der)
	return sum[:], nil
}

func rawChain(chain []*x509.Certificate) [][]byte {
	raw := make([][]byte, len(chain))
	for i, c := range chain {
		raw[i] = c.Raw
	}
	return raw
}

// parseChain reads certificates of a stored state.
func parseChain(raw [][]byte) ([]*x509.Certificate, error) {
	chain := make([]*x509.Certificate, len(raw))
	for i, der := range raw {
		cert, err := x509.ParseCertificate(der)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrState, err)
		}
		chain[i] = cert
	}
	if len(chain) == 0 {
		return nil, fmt.Errorf("%w: a certificate is missing", ErrState)
	}
	return chain, nil
}
