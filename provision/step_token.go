package provision

import (
	"context"
	"errors"

	"github.com/whiteglove/whiteglove/drs"
	"github.com/whiteglove/whiteglove/internal/misuse"
)

// authenticate does StepToken: it gets the token that authorizes the join. The
// token is not stored.
func authenticate(ctx context.Context, r *Run) (bool, error) {
	if r.State.joined() {
		return true, nil
	}
	token, err := r.joinToken(ctx)
	if err != nil {
		return false, err
	}
	r.Token = token
	if r.Profile != nil {
		r.checkProfile(ctx, "registration", token.ZTDID, r.Profile.RegistrationID)
	}
	return false, r.Commit(ctx, func(s *State) { s.ZTDID = token.ZTDID })
}

// joinToken asks Provisioner.JoinToken, or proves the endorsement key.
func (r *Run) joinToken(ctx context.Context) (*drs.DeviceToken, error) {
	if source := r.Provisioner.JoinToken; source != nil {
		return askToken(ctx, source, r.Discovery)
	}
	token, err := r.Provisioner.DRS.Authenticate(ctx, r.Discovery, r.identity().Proof())
	var e *drs.Error
	if errors.As(err, &e) && e.Subcode == "tpm_activation_failed" {
		// Both keys are in this TPM: the attestation CA has seen that.
		err = &advisedError{err, remedyActivation}
	}
	return token, err
}

// remedyActivation helps if the service does not take the answer to its challenge.
const remedyActivation = "The service's challenge and this TPM's answer do not belong together. Run again; if it stays, give the service's operator the Trace ID."

// nameJoinToken is the field that errors of Provisioner.JoinToken name.
const nameJoinToken = "Provisioner.JoinToken"

// askToken returns the token of a source, which is never empty.
func askToken(ctx context.Context, source drs.TokenSource, d *drs.Discovery) (*drs.DeviceToken, error) {
	token, err := source.JoinToken(ctx, d)
	switch {
	case err != nil:
		return nil, misuse.Of(nameJoinToken, err)
	case token == nil:
		return nil, misuse.Neither(nameJoinToken, "a token")
	case token.Token == "":
		return nil, misuse.Returned(nameJoinToken, "an empty token")
	}
	return token, nil
}

// askUser returns the token with which the user joins.
func (u *User) askUser(ctx context.Context, d *drs.Discovery) (drs.Token, error) {
	const name = "User.JoinToken"
	token, err := u.JoinToken(ctx, d)
	if err == nil && token == "" {
		return "", misuse.Neither(name, "a token")
	}
	return token, misuse.Of(name, err)
}
