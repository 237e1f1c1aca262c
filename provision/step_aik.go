package provision

import (
	"context"
	"fmt"

	"github.com/whiteglove/whiteglove/attest"
	"github.com/whiteglove/whiteglove/prove"
)

// certifyAIK does StepAIK: it obtains a certificate for the attestation key. The
// TPM makes the key while the client looks for the CA.
func certifyAIK(ctx context.Context, r *Run) (bool, error) {
	if len(r.State.AIKCertificates) > 0 {
		return true, r.resumeAIK(ctx)
	}
	id := r.identity()
	req := id.AIKRequest()
	req.AIKCreation, req.MakeAIK = nil, func(ctx context.Context) (*attest.Statement, error) {
		creation, err := r.attestationKey(ctx)
		if err == nil && r.EK.Handle != 0 {
			r.reach(tpmFree)
		}
		id.AIK = r.AIK
		return creation, err
	}
	chain, err := r.Provisioner.AIK.Enroll(ctx, req)
	if err != nil {
		return false, err
	}
	r.AIKChain = chain
	return false, r.Commit(ctx, func(s *State) { s.AIKCertificates, s.AIKName = rawChain(chain), r.AIK.Name() })
}

// resumeAIK loads the attestation key and its certificates from the state.
func (r *Run) resumeAIK(ctx context.Context) (err error) {
	if _, err = r.attestationKey(ctx); err != nil {
		return err
	}
	r.AIKChain, err = chainOf(r.State.AIKCertificates, r.AIK, "attestation key's")
	return err
}

// attestationKey sets r.AIK, unless it is set, to the stored attestation key or
// to a new one. It returns the statement that tells how the key was made.
func (r *Run) attestationKey(ctx context.Context) (*attest.Statement, error) {
	if r.AIK == nil {
		key, err := r.key(ctx, stored(func(s *State) *string { return &s.AIK }), attest.Template{Algorithm: attest.RSA2048, Usage: attest.Attest})
		if err != nil {
			return nil, err
		}
		r.AIK = key
	}
	if creation := r.AIK.Creation(); creation != nil {
		return creation, nil
	}
	return nil, fmt.Errorf("%w: the attestation key has no creation statement", ErrState)
}

// identity returns what the run knows of the TPM by which it proves itself.
func (r *Run) identity() *prove.Identity {
	return &prove.Identity{TPM: r.Provisioner.TPM, EK: r.EK, EKChain: r.EKChain, AIK: r.AIK, AIKChain: r.AIKChain}
}
