package drstest

import (
	"encoding/base64"
	"errors"
	"fmt"

	"github.com/golang-jwt/jwt/v5"

	"github.com/whiteglove/whiteglove/drs"
)

// typePreAuthorized is the claim idtyp of a challenge.
const typePreAuthorized = "preauthorized"

// PreAuthorize authorizes one join beforehand. It makes a disabled object and returns the
// challenge for [drs.Request.PreAuthorized], with which one device can join as this object
// within 10 minutes, and the identifier of that device. The challenge is a JWT of this
// package's own form; of the real service's form it is only known that it is a JWT or JWE.
//
// The error is of no exported type. It is not nil if the server's key cannot be made.
func (s *Server) PreAuthorize() (challenge drs.Token, deviceID string, err error) {
	key, err := s.signingKey()
	if err != nil {
		return "", "", fmt.Errorf("drstest: pre-authorize: %w", err)
	}
	now := s.now()
	o := &Object{DeviceID: newGUID(), ObjectID: newGUID()}
	s.mu.Lock()
	id := s.preAuthorized.issue(now, base64.RawURLEncoding)
	s.objects.add(o)
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

// checkPreAuthorized checks that the server issued the challenge of a join. It is used up when
// the join is committed.
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

// subChallenge is the subcode for a challenge that is not valid.
const subChallenge = "PreAuthorizedJoinChallengeInvalid"
