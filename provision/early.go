package provision

import (
	"context"

	"github.com/whiteglove/whiteglove/mdm"
)

// services is the answer of the management server's discovery service.
type services struct {
	at  *mdm.Discovery
	err error
}

// discoverEarly asks the management server for its services while the device proves its
// TPM to the directory and joins, because that needs nothing of a join. It starts when
// StepToken can: a device whose attestation key nobody certifies asks nobody. The request
// tells nothing of the device that its enrollment does not, and it is StepEnroll that
// reports a failure.
func (r *Run) discoverEarly(ctx context.Context, answer chan<- services) {
	if err := r.await(ctx, stageOf(StepToken).needs); err != nil {
		return
	}
	at, err := r.Provisioner.MDM.Discover(context.WithValue(ctx, stepKey{}, StepEnroll), r.Provisioner.Management, "")
	answer <- services{at, err}
}

// services returns the services of the management server. The first call takes the
// answer of discoverEarly, and later ones, after a failure, ask again.
func (r *Run) services(ctx context.Context, c *mdm.Client) (*mdm.Discovery, error) {
	early := r.early
	if r.early = nil; early == nil {
		return c.Discover(ctx, r.Provisioner.Management, "")
	}
	select {
	case s := <-early:
		return s.at, s.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}
