package provision

import (
	"context"
	"crypto/x509"
	"fmt"
	"sync"

	"github.com/whiteglove/whiteglove/attest"
	"github.com/whiteglove/whiteglove/prove"
)

// certifyAIK does StepAIK: it obtains a certificate for the attestation key. The
// TPM makes the key while the client looks for the CA.
func certifyAIK(ctx context.Context, r *Run) (bool, error) {
	if len(r.State.AIKCertificates) > 0 {
		return true, r.resumeAIK(ctx)
	}
	chain, err := r.enrollAIK(ctx)
	if err != nil {
		again, err := r.otherEK(ctx, err)
		if !again || err != nil {
			return false, err
		}
		if chain, err = r.enrollAIK(ctx); err != nil {
			return false, err
		}
	}
	r.assumed = false
	r.AIKChain = chain
	return false, r.Commit(ctx, func(s *State) { s.AIKCertificates, s.AIKName = rawChain(chain), r.AIK.Name() })
}

// enrollAIK has the CA certify the attestation key, and returns the chain. The
// endorsement key is made ready meanwhile.
func (r *Run) enrollAIK(ctx context.Context) ([]*x509.Certificate, error) {
	id := r.identity()
	req := id.AIKRequest()
	activate, ready := req.Activate, make(chan struct{})
	var work sync.WaitGroup
	defer work.Wait()
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	req.AIKCreation, req.MakeAIK = nil, func(mctx context.Context) (*attest.Statement, error) {
		creation, err := r.attestationKey(mctx)
		if err != nil {
			return nil, err
		}
		id.AIK = r.AIK
		work.Go(func() {
			defer close(ready)
			id.EK = r.prepareEK(ctx, id.EK)
		})
		return creation, nil
	}
	req.Activate = func(ctx context.Context, blob, encryptedSecret []byte) ([]byte, error) {
		<-ready // PrepareEK ends with ctx, too
		return activate(ctx, blob, encryptedSecret)
	}
	chain, err := r.Provisioner.AIK.Enroll(ctx, req)
	if err != nil {
		return nil, err
	}
	r.EK = id.EK
	return chain, nil
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
		if h := r.Provisioner.AIKHandle; h != 0 {
			if err := r.Provisioner.TPM.PersistKey(ctx, key, h); err != nil {
				return nil, err
			}
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
