package provision

import (
	"context"
	"crypto"
	"fmt"
	"slices"

	"github.com/whiteglove/whiteglove/aik"
	"github.com/whiteglove/whiteglove/attest"
)

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

// A stored function returns the field of the state that keeps a key.
type stored func(*State) *string

// key loads the key in a field of the state. If the field is empty, it makes the
// key by tmpl and stores it. The error wraps ErrState if another TPM made the stored
// keys, or if the key in the field matches neither tmpl nor one of others.
func (r *Run) key(ctx context.Context, at stored, tmpl attest.Template, others ...attest.Template) (*attest.Key, error) {
	if text := *at(r.State); text != "" {
		key, err := r.loadKey(ctx, text)
		if err != nil {
			return nil, err
		}
		if !slices.ContainsFunc(append(others, tmpl), key.Matches) {
			return nil, fmt.Errorf("%w: a key has other properties than keys of its use have", ErrState)
		}
		r.provenTPM()
		return key, nil
	}
	if err := r.proveTPM(ctx); err != nil {
		return nil, err
	}
	key, err := r.Provisioner.TPM.CreateKey(ctx, tmpl)
	if err != nil {
		return nil, err
	}
	text, err := key.MarshalText()
	if err != nil {
		return nil, err
	}
	return key, r.Commit(ctx, func(s *State) { *at(s) = string(text) })
}

// certifyAIK does StepAIK: it obtains a certificate for the attestation key. The
// TPM makes the key while the client looks for the CA.
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
	chain, err := r.Provisioner.AIK.Enroll(ctx, &aik.Request{
		EK: r.EK.Public, EKChain: r.EKChain, MakeAIK: made, Activate: r.activate,
	})
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
	if r.AIKChain, err = parseChain(r.State.AIKCertificates); err != nil {
		return err
	}
	if !samePublic(r.AIKChain[0].PublicKey, r.AIK.Public()) {
		return fmt.Errorf("%w: the attestation key's certificate is for another key", ErrState)
	}
	return nil
}

// Templates of the device's keys. Directories accept no other kinds.
var (
	deviceTemplate    = attest.Template{Algorithm: attest.RSA2048, Usage: attest.Sign}
	transportTemplate = attest.Template{Algorithm: attest.RSA2048, Usage: attest.Decrypt}
)

// makeKeys does StepKeys: it makes the device key and the transport key.
func makeKeys(ctx context.Context, r *Run) (bool, error) {
	resumed := r.State.DeviceKey != "" && r.State.TransportKey != ""
	var err error
	if r.TransportKey, err = r.key(ctx, func(s *State) *string { return &s.TransportKey }, transportTemplate); err != nil {
		return false, err
	}
	r.DeviceKey, err = r.key(ctx, func(s *State) *string { return &s.DeviceKey }, deviceTemplate)
	return resumed, err
}

// samePublic reports whether a and b are the same public key.
func samePublic(a, b crypto.PublicKey) bool {
	k, ok := a.(interface {
		Equal(crypto.PublicKey) bool
	})
	return ok && k.Equal(b)
}
