package provision

import (
	"context"

	"github.com/whiteglove/whiteglove/drs"
)

// rejoin does StepRejoin: it joins the tenant again with the user's token, and with
// new keys. If the directory can recognize the device, that must stay the same.
func rejoin(ctx context.Context, r *Run) (bool, error) {
	user := r.Provisioner.User
	if u := r.State.User; u != nil && u.Name != "" && u.Name != user.Name {
		return false, unusable(remedyUser, "the device belongs to %q, not to %q", u.Name, user.Name)
	}
	resumed := r.State.rejoined()
	if !resumed {
		r.warnOfWindow(ctx)
		if err := r.beginUser(ctx); err != nil {
			return false, err
		}
	}
	if err := r.userKeys(ctx); err != nil {
		return false, err
	}
	if resumed {
		_, err := certificateOf(r.State.User.DeviceCertificate, r.UserDeviceKey)
		return true, err
	}
	req, err := r.joinRequest(ctx, r.UserDeviceKey, r.UserTransportKey)
	if err != nil {
		return false, err
	}
	if err := r.setTicket(ctx, req); err != nil {
		return false, err
	}
	if req.UserToken, err = user.askUser(ctx, r.Discovery); err != nil {
		return false, err
	}
	if err := r.attest(ctx, req, r.UserDeviceKey, r.UserTransportKey, nil); err != nil {
		return false, err
	}
	// The directory knows the user, who has a token. From here on it may also know the keys.
	if err := r.Commit(ctx, func(s *State) { s.User.Name = user.Name }); err != nil {
		return false, err
	}
	dev, err := r.joinAgain(ctx, req)
	if err != nil {
		return false, err
	}
	return false, r.Commit(ctx, func(s *State) { s.User.DeviceID, s.User.DeviceCertificate = dev.ID, dev.Certificate.Raw })
}

// setTicket sets the device ticket of a user's join, by which the directory finds the
// device's object, if Provisioner.JoinToken has one that is valid.
func (r *Run) setTicket(ctx context.Context, req *drs.Request) error {
	source := r.Provisioner.JoinToken
	if source == nil {
		return nil
	}
	token, err := askToken(ctx, source, r.Discovery)
	switch {
	case err != nil:
		return err
	case token.Bearer:
		return nil
	case !token.Expires.IsZero() && !token.Expires.After(r.Provisioner.Now()):
		r.Warn(ctx, "the device ticket expired at %s, so the user's join goes without it", token.Expires.UTC().Format(timeFormat))
		return nil
	}
	req.DeviceToken = token
	return nil
}

// joinAgain joins the device for its user. If the request has neither a ticket nor an
// attestation, the directory may have made a new object for the device.
func (r *Run) joinAgain(ctx context.Context, req *drs.Request) (*drs.Device, error) {
	if req.DeviceToken != nil || req.Attestation != nil {
		return r.Provisioner.DRS.Rejoin(ctx, r.Discovery, r.State.DeviceID, req)
	}
	dev, err := r.Provisioner.DRS.Join(ctx, r.Discovery, req)
	if err == nil && dev.ID != r.State.DeviceID {
		r.Warn(ctx, "the directory did not recognize the device %s and made the object %s for it", r.State.DeviceID, dev.ID)
	}
	return dev, err
}

// beginUser adds the user's part to the state. A part that is there stays: if the
// answer to an earlier rejoin was lost, the directory knows the keys in it.
func (r *Run) beginUser(ctx context.Context) error {
	if r.State.User != nil {
		return nil
	}
	return r.Commit(ctx, func(s *State) { s.User = new(UserState) })
}

// warnOfWindow warns if this is not the time to hand the device to its user.
func (r *Run) warnOfWindow(ctx context.Context) {
	from, until := r.State.Window()
	switch now := r.Provisioner.Now(); {
	case from.IsZero():
		r.Warn(ctx, "the device was not sealed")
	case now.Before(from):
		r.Warn(ctx, "the device should be left alone until %s, because the tenant may still show its old registration", from.Format(timeFormat))
	case now.After(until):
		r.Warn(ctx, "the device was sealed on %s and should have been provisioned again since %s", r.State.Sealed.Format(timeFormat), until.Format(timeFormat))
	}
}

// timeFormat is the layout of times in warnings.
const timeFormat = "2006-01-02 15:04 MST"

// userKeys loads or makes the keys for the user's join.
func (r *Run) userKeys(ctx context.Context) (err error) {
	if r.UserTransportKey, err = r.key(ctx, func(s *State) *string { return &s.User.TransportKey }, transportTemplate); err != nil {
		return err
	}
	r.UserDeviceKey, err = r.key(ctx, func(s *State) *string { return &s.User.DeviceKey }, deviceTemplate)
	return err
}
