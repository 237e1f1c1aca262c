package provision

import (
	"context"
	"fmt"
)

// rejoin does StepRejoin: it joins the tenant again with the user's token. The
// device stays the same and gets new keys.
func rejoin(ctx context.Context, r *Run) (bool, error) {
	user := r.Provisioner.User
	if u := r.State.User; u != nil && u.Name != user.Name {
		return false, fmt.Errorf("%w: the device belongs to %q, not to %q", ErrState, u.Name, user.Name)
	}
	resumed := r.State.rejoined()
	if !resumed {
		r.warnOfWindow(ctx)
		if err := r.beginUser(ctx, user.Name); err != nil {
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
	req, err := r.joinRequest(ctx, r.UserDeviceKey, r.UserTransportKey, nil)
	if err != nil {
		return false, err
	}
	if req.Token, err = user.JoinToken(ctx, r.Discovery); err != nil {
		return false, err
	}
	dev, err := r.Provisioner.DRS.Rejoin(ctx, r.Discovery, r.State.DeviceID, req)
	if err != nil {
		return false, err
	}
	return false, r.Commit(ctx, func(s *State) { s.User.DeviceCertificate = dev.Certificate.Raw })
}

// beginUser adds the user's part to the state. A part that is there stays: if the
// answer to an earlier rejoin was lost, the directory knows the keys in it.
func (r *Run) beginUser(ctx context.Context, name string) error {
	if r.State.User != nil {
		return nil
	}
	return r.Commit(ctx, func(s *State) { s.User = &UserState{Name: name} })
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
