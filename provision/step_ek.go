package provision

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/google/go-tpm/tpm2"

	"github.com/whiteglove/whiteglove/attest"
	"github.com/whiteglove/whiteglove/ekcert"
	"github.com/whiteglove/whiteglove/internal/wire"
)

// findEK does StepEK: it finds the endorsement key to work with and its
// certificate, and checks both.
func findEK(ctx context.Context, r *Run) (bool, error) {
	if len(r.State.EKSHA256) > 0 {
		return true, r.resumeEK(ctx)
	}
	if err := r.proveTPM(ctx); err != nil {
		return false, err
	}
	cert, err := r.assumeEK(ctx)
	if cert == nil && err == nil {
		cert, err = r.findCertificate(ctx)
	}
	if err != nil {
		return false, err
	}
	return false, r.acceptEK(ctx, cert)
}

// acceptEK checks the certificate of r.EK and stores it.
func (r *Run) acceptEK(ctx context.Context, cert *ekcert.Certificate) error {
	report, err := r.Provisioner.EKCert.Verify(ctx, cert, r.EK.Public)
	if err != nil {
		return err
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
		return err
	}
	return r.Commit(ctx, func(s *State) { s.EKCertificates, s.EKSHA256 = rawChain(r.EKChain), sum })
}

// findCertificate sets r.EK to the first endorsement key that has a certificate
// in the TPM or in the operating system, and returns the certificate. If no key
// has one that can be used, it requests one for the first key: from the maker's CA if
// a URL is set for it, else from the maker's certificate service.
func (r *Run) findCertificate(ctx context.Context) (*ekcert.Certificate, error) {
	p := r.Provisioner
	var first *attest.EK
	var held []string // what there is in place of certificates
	for ek, err := range r.selectedEKs(ctx) {
		if err != nil {
			return nil, err
		}
		r.EK = ek
		if p.EnrollEK {
			return r.enrollEK(ctx)
		}
		cert, err := p.EKCert.Find(ctx, p.TPM, "", ek.Public)
		if err == nil || !isUnusable(err) {
			return cert, err
		}
		if first == nil {
			first = ek
		}
		r.debug("endorsement key without a certificate that can be used", "error", err)
		held = append(held, strings.TrimPrefix(err.Error(), "ekcert: find: "))
	}
	if first == nil {
		return nil, fmt.Errorf("no endorsement key that may be used: %w", attest.ErrNotFound)
	}
	r.EK = first
	if p.EKCert.SCEPURL != "" {
		cert, err := r.enrollEK(ctx)
		if err != nil {
			err = fmt.Errorf("the TPM has no certificate that can be used (%s), and its maker's CA issued none: %w", strings.Join(held, "; "), err)
		}
		return cert, err
	}
	cert, err := r.fetchCertificate(ctx)
	if err != nil && len(held) > 1 {
		err = fmt.Errorf("%w; other keys: %s", err, strings.Join(held[1:], "; "))
	}
	return cert, err
}

// isUnusable reports whether err is about what is stored for one endorsement key, so that
// another key may have a certificate.
func isUnusable(err error) bool {
	var hidden tpm2.TPMRC // the TPM refuses to read the certificate
	return errors.Is(err, ekcert.ErrNotFound) || errors.Is(err, ekcert.ErrMalformed) ||
		errors.Is(err, ekcert.ErrMismatch) || errors.As(err, &hidden)
}

// fetchCertificate asks the certificate service of the TPM's maker, if the maker
// has one. It names the maker to Find, because the remedy depends on the maker.
func (r *Run) fetchCertificate(ctx context.Context) (*ekcert.Certificate, error) {
	p := r.Provisioner
	info, err := p.TPM.Info(ctx)
	if err != nil {
		return nil, err
	}
	return p.EKCert.Find(ctx, p.TPM, info.Manufacturer, r.EK.Public)
}

// selectedEKs yields the endorsement keys that Provisioner.SelectEK permits.
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

// enrollEK requests a certificate for r.EK from the maker's CA. The attestation
// key that takes part in the proof is the one that StepAIK uses.
func (r *Run) enrollEK(ctx context.Context) (*ekcert.Certificate, error) {
	if _, err := r.attestationKey(ctx); err != nil {
		return nil, err
	}
	req, err := r.identity().EKRequest(ctx)
	if err != nil {
		return nil, err
	}
	return r.Provisioner.EKCert.Enroll(ctx, req)
}

// resumeEK sets r.EK and r.EKChain from the stored state.
func (r *Run) resumeEK(ctx context.Context) (err error) {
	if len(r.State.EKCertificates) == 0 {
		return fmt.Errorf("%w: a certificate is missing", ErrState)
	}
	r.EKChain = nil // this may be another attempt
	for _, der := range r.State.EKCertificates {
		cert, err := ekcert.Parse(der) // it reads more than crypto/x509
		if err != nil {
			return fmt.Errorf("%w: %w", ErrState, err)
		}
		r.EKChain = append(r.EKChain, cert.Certificate)
	}
	if r.EK, err = r.storedEK(ctx); err != nil {
		return r.reviseEK(ctx, err)
	}
	r.provenTPM()
	return nil
}

// storedEK finds the endorsement key of the stored state in this TPM. The error
// wraps ErrState if the TPM does not have it, or if SelectEK does not permit it.
func (r *Run) storedEK(ctx context.Context) (*attest.EK, error) {
	may := r.Provisioner.SelectEK
	for ek, err := range r.Provisioner.TPM.EKs(ctx) {
		if err != nil {
			return nil, err
		}
		sum, err := spkiSHA256(ek.Public)
		switch {
		case err != nil:
			return nil, err
		case !bytes.Equal(sum, r.State.EKSHA256):
			continue
		case may != nil && !may(ek):
			return nil, unusable(remedyOtherEK, "it was made with another endorsement key of this TPM, %s, which this run may not use", wire.KeyKind(ek.Public))
		}
		return ek, nil
	}
	return nil, unusable(remedyOtherTPM, "it belongs to another TPM: none of the endorsement keys here has the SHA-256 %x", r.State.EKSHA256)
}
