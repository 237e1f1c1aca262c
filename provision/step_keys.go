package provision

import (
	"context"

	"github.com/whiteglove/whiteglove/attest"
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

// Templates of the device's keys. Directories accept no other kinds.
var (
	deviceTemplate    = attest.Template{Algorithm: attest.RSA2048, Usage: attest.Sign}
	transportTemplate = attest.Template{Algorithm: attest.RSA2048, Usage: attest.Decrypt, Unloaded: true} // the device key signs first
)
