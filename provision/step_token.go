package provision

import (
	"context"

	"github.com/whiteglove/whiteglove/drs"
)

// authenticate does StepToken: it gets the token that authorizes the join. The
// token is not stored.
func authenticate(ctx context.Context, r *Run) (bool, error) {
	if r.State.joined() {
		return true, nil
	}
	source := r.Provisioner.JoinToken
	if source == nil {
		source = &drs.Prover{Client: r.Provisioner.DRS, Proof: r.identity().Proof()}
	}
	token, err := source.JoinToken(ctx, r.Discovery)
	if err != nil {
		return false, err
	}
	r.Token = token
	if r.Profile != nil {
		r.checkProfile(ctx, "registration", token.ZTDID, r.Profile.RegistrationID)
	}
	return false, r.Commit(ctx, func(s *State) { s.ZTDID = token.ZTDID })
}
