package drstest

import (
	"encoding/base64"
	"fmt"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/whiteglove/whiteglove/drs"
)

// sourceTicket is the claim src of a ticket of IssueTicket.
const sourceTicket = "account"

// IssueTicket returns a device ticket for the imported device with a ZTDID, which is valid
// for an hour: a [drs.DeviceToken] for a join without a user, or the [drs.Request.DeviceToken] of
// a user's join. It stands for the account service that gives Windows such tickets, of
// which neither the protocol nor the form is public. It is not bound to keys and can be
// used again.
//
// The error is of no exported type. It is not nil if no device has the ZTDID or the server's
// key cannot be made.
func (s *Server) IssueTicket(ztdID string) (*drs.DeviceToken, error) {
	key, err := s.signingKey()
	if err != nil {
		return nil, fmt.Errorf("drstest: issue ticket: %w", err)
	}
	now, id := s.now(), newGUID()
	expires := now.Add(joinTokenLife)
	o, ok := s.Object(ztdID)
	if !ok || o.ZTDID != ztdID || ztdID == "" {
		return nil, fmt.Errorf("drstest: issue ticket: no imported device has the ZTDID %q", ztdID)
	}
	text, err := jwt.NewWithClaims(jwt.SigningMethodRS256, jwt.MapClaims{
		"aud": JoinResource, "iss": s.Issuer(), "tid": s.tenantID(), "idtyp": "device", "amr": []string{"tpm_ek"}, "src": sourceTicket,
		"sub": "ek:" + base64.RawURLEncoding.EncodeToString(o.EK[:]), "jti": id, "ztdid": o.ZTDID,
		"iat": now.Unix(), "nbf": now.Unix(), "exp": expires.Unix(),
	}).SignedString(key)
	if err != nil {
		return nil, fmt.Errorf("drstest: issue ticket: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.keepTicket(id, new(ticket), now)
	return &drs.DeviceToken{Token: drs.Token(text), ZTDID: o.ZTDID, Expires: expires}, nil
}

// keepTicket keeps a token for a join, until a join with it cannot be repeated any more. The
// caller locks.
func (s *Server) keepTicket(id string, t *ticket, now time.Time) {
	s.tickets.Put(id, t, now, now.Add(joinTokenLife+repeatLife))
}
