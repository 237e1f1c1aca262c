package provision

import (
	"context"
	"errors"

	"github.com/google/go-tpm/tpm2"

	"github.com/whiteglove/whiteglove/attest"
)

// proveTPM makes sure that the stored state belongs to this TPM. Every step calls
// it before it makes a key or stores anything that belongs to the TPM, so that a
// state never mixes two. It costs TPM commands only in a run that has not loaded
// a stored key or found the stored endorsement key before. The error wraps
// ErrState if another TPM made the state.
func (r *Run) proveTPM(ctx context.Context) error {
	r.proof.Lock()
	defer r.proof.Unlock()
	if r.proven {
		return nil
	}
	r.mu.Lock()
	keys, hasEK := r.State.keys(), len(r.State.EKSHA256) > 0
	r.mu.Unlock()
	var err error
	switch {
	case len(keys) > 0: // one is enough
		_, err = r.loadKey(ctx, keys[0])
	case hasEK:
		_, err = r.storedEK(ctx)
	}
	r.proven = err == nil
	return err
}

// provenTPM records that the stored state was found to belong to this TPM.
func (r *Run) provenTPM() {
	r.proof.Lock()
	defer r.proof.Unlock()
	r.proven = true
}

// ofTPM reports whether the state tells which TPM it belongs to. Before StepEK it
// does not.
func (s *State) ofTPM() bool { return len(s.EKSHA256) > 0 || len(s.keys()) > 0 }

// keys returns the wrapped keys of a state.
func (s *State) keys() []string {
	all := []string{s.AIK, s.DeviceKey, s.TransportKey, s.ManagementKey}
	if s.User != nil {
		all = append(all, s.User.DeviceKey, s.User.TransportKey)
	}
	var keys []string
	for _, text := range all {
		if text != "" {
			keys = append(keys, text)
		}
	}
	return keys
}

// loadKey loads a key of the stored state. The error wraps ErrState if another
// TPM made the key.
func (r *Run) loadKey(ctx context.Context, text string) (*attest.Key, error) {
	key, err := r.Provisioner.TPM.LoadKey(ctx, []byte(text))
	if errors.Is(err, tpm2.TPMRCIntegrity) {
		return nil, unusable(remedyOtherTPM, "another TPM made its keys, or this TPM was cleared since: %w", err)
	}
	return key, err
}
