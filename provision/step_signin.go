package provision

import (
	"context"
	"fmt"
	"slices"

	"github.com/whiteglove/whiteglove/drs"
)

// signIn does StepSignIn: it gets the user's primary refresh token and session key.
// It stores the session encrypted to the transport key, and uses a stored session
// until that expires.
func signIn(ctx context.Context, r *Run) (bool, error) {
	u := r.State.User
	transport := r.UserTransportKey.WithContext(ctx)
	if len(u.Session) > 0 {
		session, err := drs.UnsealSession(u.Session, transport)
		if err != nil {
			return false, fmt.Errorf("%w: %w", ErrState, err)
		}
		if session.Expires.IsZero() || session.Expires.After(r.Provisioner.Now()) {
			r.Session = session
			return true, nil
		}
	}
	cert, err := certificateOf(u.DeviceCertificate, r.UserDeviceKey)
	if err != nil {
		return false, err
	}
	req := r.Provisioner.User.SignIn
	req.Certificate, req.DeviceKey, req.TransportKey = cert, r.UserDeviceKey.WithContext(ctx), transport
	req.Username = r.Provisioner.User.Name
	if req.KDF == 0 {
		if req.KDF, err = r.keyDerivation(ctx); err != nil {
			return false, err
		}
	}
	session, err := r.Provisioner.DRS.SignIn(ctx, r.Discovery, &req)
	if err != nil {
		return false, err
	}
	sealed, err := session.Seal()
	if err != nil {
		return false, err
	}
	r.Session = session
	return false, r.Commit(ctx, func(s *State) { s.User.Session = sealed })
}

// keyDerivation returns the version of the key derivation for a sign-in: 2, unless the
// token service lists capabilities, as AD FS does, and version 2 is not among them.
func (r *Run) keyDerivation(ctx context.Context) (int, error) {
	if r.Provisioner.DRS.Public() {
		return 2, nil
	}
	can, err := r.Provisioner.DRS.Capabilities(ctx, r.Discovery)
	if err != nil && !refused(err) {
		return 0, err
	}
	if can != nil && !slices.Contains(can, "kdf_ver2") {
		return 1, nil
	}
	return 2, nil
}
