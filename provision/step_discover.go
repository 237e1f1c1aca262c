package provision

import (
	"context"
	"fmt"
	"strings"

	"github.com/whiteglove/whiteglove/drs"
)

// discover does StepDiscover: it finds the tenant's services. Every run that
// still needs them asks again, because they may change.
func discover(ctx context.Context, r *Run) (bool, error) {
	if !r.needsDirectory() {
		return true, nil
	}
	var err error
	p := r.Provisioner
	if r.Discovery, err = p.DRS.Discover(ctx, p.Tenant); err != nil {
		return false, err
	}
	// Nothing is sent to other services if the join cannot succeed.
	if r.Discovery.ProofEndpoint == "" && p.JoinToken == nil && p.Do[StepToken] == nil && r.takes(StepToken) && !r.State.joined() {
		return false, fmt.Errorf("%w: %w", ErrNoJoinToken, drs.ErrNoChallenge)
	}
	return false, nil
}

// checkTenant returns an error that wraps [drs.ErrTenant] if the tenant that
// discovery names is not the one that the device joined in an earlier run.
func (r *Run) checkTenant() error {
	if r.Discovery == nil || r.Discovery.TenantID == "" || r.State.TenantID == "" || strings.EqualFold(r.Discovery.TenantID, r.State.TenantID) {
		return nil
	}
	return fmt.Errorf("%w: discovery names %s, but the device joined %s", drs.ErrTenant, r.Discovery.TenantID, r.State.TenantID)
}

// needsDirectory reports whether the run still needs the tenant's services.
func (r *Run) needsDirectory() bool {
	return !r.State.joined() || r.takes(StepEnroll, StepSeal, StepRejoin, StepSignIn, StepOwner)
}
