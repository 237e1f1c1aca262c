package provision

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/whiteglove/whiteglove/drs"
)

// seal does StepSeal: the device leaves the tenant. If the directory does not
// know the device, an earlier run has left and the answer was lost.
func seal(ctx context.Context, r *Run) (bool, error) {
	if r.State.sealed() {
		return true, nil
	}
	cert, err := certificateOf(r.State.DeviceCertificate, r.DeviceKey)
	if err != nil {
		return false, err
	}
	dev, err := drs.ParseDevice(cert)
	if err != nil {
		return false, fmt.Errorf("%w: %w", ErrState, err)
	}
	err = r.Provisioner.DRS.Leave(ctx, r.Discovery, dev, r.DeviceKey.WithContext(ctx))
	if errors.Is(err, drs.ErrGone) {
		r.Warn(ctx, "the directory does not know the device: it left in an earlier run, or somebody deleted it")
	} else if err != nil {
		return false, err
	}
	return false, r.Commit(ctx, func(s *State) { s.Sealed = r.Provisioner.Now().UTC().Truncate(time.Second) })
}
