package provision

import (
	"context"
	"crypto"
	"errors"
	"fmt"

	"github.com/google/go-tpm/tpm2"

	"github.com/whiteglove/whiteglove/aik"
	"github.com/whiteglove/whiteglove/attest"
)

// attestationKey loads or makes the attestation key, if that was not done yet,
// and returns the statement on how it was made.
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

// stored is where the state keeps a key.
type stored func(*State) *string

// key loads the key that the state keeps, or makes one and has it kept. A
// stored key that this TPM does not know means a state of another TPM.
func (r *Run) key(ctx context.Context, at stored, tmpl attest.Template) (*attest.Key, error) {
	tpm := r.Provisioner.TPM
	if text := *at(r.State); text != "" {
		key, err := tpm.LoadKey(ctx, []byte(text))
		if errors.Is(err, tpm2.TPMRCIntegrity) {
			return nil, fmt.Errorf("%w: its keys are not of this TPM, or it was cleared: %w", ErrState, err)
		}
		return key, err
	}
	key, err := tpm.CreateKey(ctx, tmpl)
	if err != nil {
		return nil, err
	}
	text, err := key.MarshalText()
	if err != nil {
		return nil, err
	}
	return key, r.Commit(ctx, func(s *State) { *at(s) = string(text) })
}

// certifyAIK has the attestation key certified. It is made while its CA is
// looked for.
func certifyAIK(ctx context.Context, r *Run) (bool, error) {
	if len(r.State.AIKCertificates) > 0 {
		return true, r.resumeAIK(ctx)
	}
	made := func(ctx context.Context) (*attest.Statement, error) {
		creation, err := r.attestationKey(ctx)
		if err == nil && r.EK.Handle != 0 {
			r.reach(tpmFree)
		}
		return creation, err
	}
	chain, err := r.Provisioner.AIK.Enroll(ctx, &aik.Request{EK: r.EK, Chain: r.EKChain, Make: made},
		func(ctx context.Context, c *attest.Credential) ([]byte, error) {
			return r.Provisioner.TPM.ActivateCredential(ctx, r.EK, r.AIK, c)
		})
	if err != nil {
		return false, err
	}
	r.AIKChain = chain
	return false, r.Commit(ctx, func(s *State) { s.AIKCertificates, s.AIKName = rawChain(chain), r.AIK.Name() })
}

func (r *Run) resumeAIK(ctx context.Context) (err error) {
	if _, err = r.attestationKey(ctx); err != nil {
		return err
	}
	if r.AIKChain, err = parseChain(r.State.AIKCertificates); err != nil {
		return err
	}
	if !samePublic(r.AIKChain[0].PublicKey, r.AIK.Public()) {
		return fmt.Errorf("%w: the attestation key and its certificate do not belong together", ErrState)
	}
	return nil
}

// What the keys of a device are like: the directory takes no others.
var (
	deviceTemplate    = attest.Template{Algorithm: attest.RSA2048, Usage: attest.Sign}
	transportTemplate = attest.Template{Algorithm: attest.RSA2048, Usage: attest.Decrypt}
)

// makeKeys makes the device key and the transport key.
func makeKeys(ctx context.Context, r *Run) (bool, error) {
	resumed := r.State.DeviceKey != "" && r.State.TransportKey != ""
	var err error
	if r.TransportKey, err = r.key(ctx, func(s *State) *string { return &s.TransportKey }, transportTemplate); err != nil {
		return false, err
	}
	r.DeviceKey, err = r.key(ctx, func(s *State) *string { return &s.DeviceKey }, deviceTemplate)
	return resumed, err
}

// samePublic reports whether a and b are one public key.
func samePublic(a, b crypto.PublicKey) bool {
	k, ok := a.(interface {
		Equal(crypto.PublicKey) bool
	})
	return ok && k.Equal(b)
}
