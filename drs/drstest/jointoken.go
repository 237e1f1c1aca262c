package drstest

import (
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/golang-jwt/jwt/v5"
)

// serveProof answers a join without a token with a challenge.
func (s *Server) serveProof(w http.ResponseWriter, r *http.Request, j *join) error {
	if j.TpmProof.Profile != profileJoin {
		return badRequest("profile %q", j.TpmProof.Profile)
	}
	answer, err := s.challenge(r.Context(), j.TpmProof, JoinResource)
	if err != nil {
		return err
	}
	w.Header().Set("WWW-Authenticate", proofScheme)
	reply(w, http.StatusUnauthorized, answer)
	return nil
}

// proofScheme is the scheme of an Authorization header with the answer to such a challenge.
const proofScheme = "TpmChallenge"

// checkToken checks the authorization of a join, which is a device token that is also in the
// attribute MSA-DDID; a user's token, with or without a device token in that attribute; or
// the answer to a challenge.
func (s *Server) checkToken(j *join, authorization string) error {
	if text, ok := strings.CutPrefix(authorization, proofScheme+" "); ok {
		return s.checkProof(j, text)
	}
	text, ok := strings.CutPrefix(authorization, "Bearer ")
	if !ok {
		return &refused{status: http.StatusUnauthorized, code: "AuthenticationError", subcode: "error_fail", reason: errors.New("no bearer token")}
	}
	claims, err := s.readToken(text)
	if err != nil {
		return noJoin(subTicket, "token: %w", err)
	}
	copied, err := base64.StdEncoding.DecodeString(j.Attributes["MSA-DDID"])
	if err != nil {
		return noJoin(subTicket, "device token: attribute MSA-DDID: %w", err)
	}
	if claims.Type == "user" {
		return s.checkUser(j, claims, string(copied))
	}
	if subtle.ConstantTimeCompare(copied, []byte(text)) != 1 {
		return noJoin(subTicket, "device token: attribute MSA-DDID is not the same")
	}
	j.token = claims
	return claims.checkDevice()
}

// readToken checks the signature, times, audience, issuer and tenant of a token for the join
// and returns its claims.
func (s *Server) readToken(text string) (*ticketClaims, error) {
	key, err := s.signingKey()
	if err != nil {
		return nil, err
	}
	claims := new(ticketClaims)
	parser := jwt.NewParser(jwt.WithValidMethods([]string{"RS256"}), jwt.WithTimeFunc(s.now), jwt.WithExpirationRequired(),
		jwt.WithAudience(JoinResource), jwt.WithIssuer(s.Issuer()))
	if _, err := parser.ParseWithClaims(text, claims, func(*jwt.Token) (any, error) { return &key.PublicKey, nil }); err != nil {
		return nil, err
	}
	if claims.TenantID != s.tenantID() {
		return nil, fmt.Errorf("it is of tenant %q", claims.TenantID)
	}
	return claims, nil
}

// checkDevice checks that a token is a device token.
func (c *ticketClaims) checkDevice() error {
	if c.Type != "device" || len(c.Methods) != 1 || c.Methods[0] != "tpm_ek" || c.ID == "" || c.ZTDID == "" {
		return noJoin(subTicket, "device token: it is not of a device that proved its TPM")
	}
	return nil
}

// checkUser checks the user who joins a device and the device token, which may be "".
func (s *Server) checkUser(j *join, claims *ticketClaims, ticket string) error {
	var err error
	if j.user, err = s.user(claims.UPN); err != nil {
		return noJoin("UserMayNotJoin", "%w", err)
	}
	if ticket == "" {
		return nil
	}
	if j.token, err = s.readToken(ticket); err != nil {
		return noJoin(subTicket, "device token: %w", err)
	}
	return j.token.checkDevice()
}

// checkProof checks the answer to a challenge of profile challenge-401.
func (s *Server) checkProof(j *join, text string) error {
	no := func(err error) error { return noJoin(subTicket, "proof: %w", err) }
	ch, claims, err := s.answered(text, true)
	if err != nil {
		return no(err)
	}
	out, err := s.proved(ch, claims)
	if err != nil {
		return no(err)
	}
	j.token = &ticketClaims{
		TenantID: s.tenantID(), Type: "device", Methods: []string{"tpm_ek"}, ZTDID: claimText(out, "ztdid"), AIKName: claimText(out, "aik_name"),
		Confirm: claims.Confirm, TransportKey: claims.TransportKey,
	}
	j.token.ID, j.token.Subject = claimText(out, "jti"), claims.Subject
	return nil
}
