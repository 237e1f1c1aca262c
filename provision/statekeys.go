package provision

import (
	"context"
	"fmt"
	"slices"

	"github.com/whiteglove/whiteglove/attest"
)

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
