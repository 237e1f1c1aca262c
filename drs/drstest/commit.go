package drstest

import (
	"crypto/x509"
	"errors"
	"net/http"
	"time"

	"github.com/whiteglove/whiteglove/drs"
)

// commit uses up the token and the nonces, changes the object and issues the certificate. If
// it fails, it has done none of this.
//
// The certificate is made without the lock. Then everything that the lock guards is checked
// again, because it may have changed. If another object is now the one to change, the
// certificate is made again, for that one.
func (s *Server) commit(j *join) (*x509.Certificate, error) {
	o, done, err := s.plan(j)
	if done != nil || err != nil {
		return done, err
	}
	for range maxPlans {
		cert, err := s.issue(o, j.device, j.user)
		if err != nil {
			return nil, err
		}
		if o, done, err = s.apply(j, o, cert); done != nil || err != nil {
			return done, err
		}
	}
	return nil, &refused{status: http.StatusServiceUnavailable, code: "DirectoryError", subcode: "error_throttled", retry: true, reason: errors.New("the device changes all the time")}
}

// maxPlans is how often the certificate of a join is made.
const maxPlans = 4

// plan checks what the lock guards, and returns a copy of the object that the join changes;
// or the certificate of the join that it repeats.
func (s *Server) plan(j *join) (o *Object, done *x509.Certificate, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	found, done, err := s.check(j)
	if done != nil || err != nil {
		return nil, done, err
	}
	return j.planned(found), nil, nil
}

// planned returns a copy of the object of a join, as its certificate shows it.
func (j *join) planned(o *Object) *Object {
	c := o.clone()
	c.number = o.number
	c.Registered = j.JoinType == int(drs.Register)
	return &c
}

// check returns the object that a join changes, or the certificate of the join that it
// repeats. The caller locks.
func (s *Server) check(j *join) (o *Object, done *x509.Certificate, err error) {
	if done, err = s.repeatedLocked(j); done != nil || err != nil {
		return nil, done, err
	}
	if o, err = s.find(j); err != nil {
		return nil, nil, err
	}
	for _, nonce := range []string{j.csrNonce, j.drsNonce} {
		if nonce != "" && !s.drsNonces.valid(nonce, s.now()) {
			return nil, nil, noJoin(subAttestation, "nonce is unknown, used or expired")
		}
	}
	return o, nil, nil
}

// apply makes the checks of plan again and, if the object is still the planned one, the
// changes, and returns cert. Otherwise it returns a copy of the object that it is now, or the
// certificate of the join that it repeats.
func (s *Server) apply(j *join, planned *Object, cert *x509.Certificate) (o *Object, done *x509.Certificate, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	o, done, err = s.check(j)
	if done != nil || err != nil {
		return nil, done, err
	}
	switch {
	case o.number != planned.number:
		return j.planned(o), nil, nil
	case o.number == 0: // a new one, as it was when it was planned
		o = planned
	}
	now := s.now()
	s.drsNonces.use(j.csrNonce, now)
	s.drsNonces.use(j.drsNonce, now)
	s.preAuthorized.use(j.challenge, now)
	s.done(j, cert, now)
	s.change(o, j, cert)
	return nil, cert, nil
}

// find returns the object of the device that joins: the one that its authorization, its
// device token or its attestation key identifies, or a new one. The caller locks.
func (s *Server) find(j *join) (*Object, error) {
	var o *Object
	switch {
	case j.deviceID != "":
		if o = s.byDeviceID(j.deviceID); o == nil {
			return nil, errMissing
		}
	case j.token != nil:
		if o = s.byZTDID(j.token.ZTDID); o == nil {
			return nil, errMissing
		}
	case j.Attributes.is("ReuseDevice"):
		o = s.byAIK(j.aikName)
	}
	if j.user != nil {
		if err := s.mayJoin(j.user, o); err != nil {
			return nil, err
		}
	}
	if o == nil {
		o = &Object{DeviceID: newGUID(), ObjectID: newGUID()}
	}
	return o, nil
}

// done keeps a join in case that it is repeated. The caller locks.
func (s *Server) done(j *join, cert *x509.Certificate, now time.Time) {
	d := &joined{request: j.hash(), cert: cert, at: now}
	if j.token == nil {
		s.joins.Put(d.request, d, now, now.Add(repeatLife))
	} else if t, ok := s.tickets.Get(j.token.ID); ok {
		t.joined = d
	}
}

// change enables the object of a device that joined. It adds the certificate, replaces the
// transport key and ends the sessions with the old one. The caller locks.
func (s *Server) change(o *Object, j *join, cert *x509.Certificate) {
	if o.number == 0 {
		s.objects.add(o)
	}
	s.revoke(o)
	s.objects.update(o, func() {
		o.identify(cert)
		if j.aikName != "" {
			o.AIKName = j.aikName
		}
	})
	o.Registered = j.JoinType == int(drs.Register)
	o.Enabled, o.TransportKey, o.StorageKey, o.AttestationLevel = true, j.transport, j.storage, j.level
	o.DisplayName, o.OSType, o.OSVersion = j.DeviceDisplayName, j.DeviceType, j.OSVersion
	if j.user != nil {
		o.Owner = j.user.UPN
	}
}
