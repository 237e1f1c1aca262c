package provision

import (
	"bytes"
	"context"
	"crypto"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"fmt"

	"github.com/google/go-tpm/tpm2"

	"github.com/whiteglove/whiteglove/attest"
	"github.com/whiteglove/whiteglove/ekcert"
)

// findEK finds the endorsement key to work with and its certificate, and
// checks both. It takes the first key that has a certificate.
func findEK(ctx context.Context, r *Run) (bool, error) {
	if len(r.State.EKSHA256) > 0 {
		return true, r.resumeEK(ctx)
	}
	cert, err := r.findCertificate(ctx)
	if err != nil {
		return false, err
	}
	report, err := r.Provisioner.EKCert.Verify(ctx, cert, r.EK.Public)
	if err != nil {
		return false, err
	}
	for _, f := range report.Findings {
		r.debug("endorsement certificate", "finding", f.ID, "detail", f.Detail)
		if f.Severity >= ekcert.Warning {
			r.Warn(ctx, "endorsement certificate: %s: %s", f.ID, f.Detail)
		}
	}
	r.EKChain = report.Chain
	sum, err := spkiSHA256(r.EK.Public)
	if err != nil {
		return false, err
	}
	return false, r.Commit(ctx, func(s *State) { s.EKCertificates, s.EKSHA256 = rawChain(r.EKChain), sum })
}

// findCertificate sets r.EK and returns its certificate: from the TPM or the
// system, else from the maker's CA or, without one, the maker's service.
func (r *Run) findCertificate(ctx context.Context) (*ekcert.Certificate, error) {
	p := r.Provisioner
	var first *attest.EK
	for ek, err := range r.selectedEKs(ctx) {
		if err != nil {
			return nil, err
		}
		r.EK = ek
		if p.EnrollEK {
			return r.enrollEK(ctx)
		}
		cert, err := p.EKCert.Find(ctx, p.TPM, "", ek.Public)
		var hidden tpm2.TPMRC // the TPM does not let it be read
		if err == nil || !errors.Is(err, ekcert.ErrNotFound) && !errors.As(err, &hidden) {
			return cert, err
		}
		if first == nil {
			first = ek
		}
	}
	if first == nil {
		return nil, fmt.Errorf("%w that may be used", attest.ErrNotFound)
	}
	r.EK = first
	if p.EKCert.SCEPURL != "" {
		return r.enrollEK(ctx)
	}
	return r.fetchCertificate(ctx)
}

// fetchCertificate asks the service of the TPM's maker, if it has one. The
// error says what can be done, which depends on the maker.
func (r *Run) fetchCertificate(ctx context.Context) (*ekcert.Certificate, error) {
	p := r.Provisioner
	info, err := p.TPM.Info(ctx)
	if err != nil {
		return nil, err
	}
	return p.EKCert.Find(ctx, p.TPM, info.Manufacturer, r.EK.Public)
}

// selectedEKs yields the endorsement keys that may be used.
func (r *Run) selectedEKs(ctx context.Context) func(yield func(*attest.EK, error) bool) {
	may := r.Provisioner.SelectEK
	return func(yield func(*attest.EK, error) bool) {
		for ek, err := range r.Provisioner.TPM.EKs(ctx) {
			if err == nil && may != nil && !may(ek) {
				continue
			}
			if !yield(ek, err) || err != nil {
				return
			}
		}
	}
}

// enrollEK has the maker's CA certify r.EK. The attestation key that proves it
// is the one that is certified in the next step.
func (r *Run) enrollEK(ctx context.Context) (*ekcert.Certificate, error) {
	info, err := r.Provisioner.TPM.Info(ctx)
	if err != nil {
		return nil, err
	}
	creation, err := r.attestationKey(ctx)
	if err != nil {
		return nil, err
	}
	return r.Provisioner.EKCert.Enroll(ctx, &ekcert.Enrollment{
		Vendor: info.Manufacturer, Model: info.Vendor, Version: info.Firmware,
		EK: r.EK.Public, AIK: ekcert.Statement(*creation), Activate: r.activateBytes,
	})
}

// resumeEK finds the endorsement key of the stored state in this TPM.
func (r *Run) resumeEK(ctx context.Context) (err error) {
	if r.EKChain, err = parseChain(r.State.EKCertificates); err != nil {
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
		if bytes.Equal(sum, r.State.EKSHA256) {
			r.EK = ek
			return nil
		}
	}
	return fmt.Errorf("%w: it is of another TPM: no endorsement key here is %x", ErrState, r.State.EKSHA256)
}

// activateBytes opens a credential for the run's keys.
func (r *Run) activateBytes(ctx context.Context, blob, secret []byte) ([]byte, error) {
	return r.Provisioner.TPM.ActivateCredential(ctx, r.EK, r.AIK, &attest.Credential{Blob: blob, Secret: secret})
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
