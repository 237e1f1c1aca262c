package drstest

import (
	"encoding/base64"
	"errors"
	"fmt"

	"github.com/golang-jwt/jwt/v5"

	"github.com/whiteglove/whiteglove/drs"
)

// typePreAuthorized is the type of token that a challenge is.
const typePreAuthorized = "preauthorized"

// PreAuthorize authorizes one join beforehand: it makes a disabled object for a
// device to come, and returns the challenge for [drs.Request.PreAuthorized]
// that joins a device as this object. The challenge holds for ten minutes and
// for one device. Its form is the server's own: the public service's is not
// known, but that it is a JWT or JWE.
func (s *Server) PreAuthorize() (challenge drs.Token, deviceID string, err error) {
	key, err := s.signingKey()
	if err != nil {
		return "", "", fmt.Errorf("drstest: pre-authorize: %w", err)
	}
	now := s.now()
	o := &Object{DeviceID: newGUID(), ObjectID: newGUID()}
	s.mu.Lock()
	id := s.preAuthorized.issue(now, base64.RawURLEncoding)
	s.objects = append(s.objects, o)
	s.mu.Unlock()
	text, err := jwt.NewWithClaims(jwt.SigningMethodRS256, jwt.MapClaims{
		"aud": JoinResource, "iss": s.Issuer(), "tid": s.tenantID(), "idtyp": typePreAuthorized, "sub": o.DeviceID, "jti": id,
		"iat": now.Unix(), "nbf": now.Unix(), "exp": now.Add(nonceLife).Unix(),
	}).SignedString(key)
	if err != nil {
		return "", "", fmt.Errorf("drstest: pre-authorize: %w", err)
	}
	return drs.Token(text), o.DeviceID, nil
}

// checkPreAuthorized checks that the challenge of a join is one that the
// directory issued. It is used up when the join is committed.
func (s *Server) checkPreAuthorized(j *join) error {
	claims, err := s.readToken(j.PreAuthorizedJoinChallenge)
	if err == nil && (claims.Type != typePreAuthorized || claims.ID == "" || claims.Subject == "") {
		err = errors.New("it is another kind of token")
	}
	if err != nil {
		return noJoin(subChallenge, "challenge: %w", err)
	}
	j.challenge, j.deviceID = claims.ID, claims.Subject
	return nil
}

// subChallenge is the subcode of a join whose challenge is not valid.
const subChallenge = "PreAuthorizedJoinChallengeInvalid"
