package drstest

import (
	"bytes"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// assertionLife is how long an assertion may be valid.
const assertionLife = 300 * time.Second

// A ticket is a token for a join that was given out.
type ticket struct {
	nonce   []byte // of its challenge; a join's attestation is over it
	aikArea []byte // of the attestation key that was proved; nil for a device key
	expires time.Time
	joined  *joined // nil until it was used
}

// assertionClaims are those of an assertion of profile ek-jwt-v1.
type assertionClaims struct {
	jwt.RegisteredClaims
	RequestNonce string            `json:"request_nonce"`
	ClientNonce  string            `json:"client_nonce"`
	AIKName      string            `json:"aik_name"`
	DKName       string            `json:"dk_name"`
	Confirm      map[string]string `json:"cnf,omitempty"`
	TransportKey string            `json:"tk_sha256,omitempty"`
}

// ticketClaims are those of the token of a join, besides what all tokens have.
type ticketClaims struct {
	jwt.RegisteredClaims
	TenantID     string            `json:"tid"`
	Type         string            `json:"idtyp"`
	Methods      []string          `json:"amr"`
	ZTDID        string            `json:"ztdid"`
	UPN          string            `json:"upn"`
	AIKName      string            `json:"aik_name"`
	Confirm      map[string]string `json:"cnf"`
	TransportKey string            `json:"tk_sha256"`
}

// serveAssertion trades the answer to a challenge for the token of a join.
func (s *Server) serveAssertion(w http.ResponseWriter, r *http.Request, text string) error {
	ch, claims, err := s.answered(text, false)
	if err != nil {
		return err
	}
	resource := r.PostForm.Get("resource")
	if resource == "" {
		resource = strings.TrimSuffix(r.PostForm.Get("scope"), "/.default")
	}
	if resource != JoinResource {
		return noGrant("invalid_resource", "", 500011, "resource %q not found in the tenant", resource)
	}
	if r.PostForm.Get("client_id") == "" {
		return noGrant("invalid_request", "", 900144, "no client_id")
	}
	out, err := s.proved(ch, claims)
	if err != nil {
		return err
	}
	answer, err := s.token(r, resource, joinTokenLife, out)
	if err != nil {
		return err
	}
	reply(w, http.StatusOK, answer)
	return nil
}

// proved returns the claims of the token of a device whose proof holds, once it
// is found or admitted, and remembers the token.
func (s *Server) proved(ch *challenge, claims *assertionClaims) (jwt.MapClaims, error) {
	out := jwt.MapClaims{"sub": claims.Subject, "idtyp": "device", "amr": []string{"tpm_ek"}, "jti": newGUID()}
	if ch.device == nil {
		out["aik_name"] = claims.AIKName
	}
	if jkt := claims.Confirm["jkt"]; jkt != "" {
		out["cnf"] = map[string]string{"jkt": jkt}
	}
	if claims.TransportKey != "" {
		out["tk_sha256"] = claims.TransportKey
	}
	if err := s.admit(ch); err != nil {
		return nil, err
	}
	return out, s.grant(ch, out)
}

// admit imports the endorsement key of a challenge that was answered, if it is
// not in the directory and Admit wants it.
func (s *Server) admit(ch *challenge) error {
	s.mu.Lock()
	known := s.byEK(ch.ek) != nil
	s.mu.Unlock()
	if known || s.Admit == nil || !s.Admit(ch.ekPublic, ch.ekCert) {
		return nil
	}
	_, err := s.Import(ch.ekPublic)
	return err
}

// grant finds the device of a challenge and remembers the token for it.
func (s *Server) grant(ch *challenge, claims jwt.MapClaims) error {
	now := s.now()
	s.mu.Lock()
	defer s.mu.Unlock()
	o := s.byEK(ch.ek)
	if o == nil {
		return noGrant("invalid_grant", "tpm_ek_unknown", 50155, "no device with this endorsement key is registered")
	}
	claims["ztdid"] = o.ZTDID
	for id, t := range s.tickets {
		if now.After(t.expires.Add(repeatLife)) {
			delete(s.tickets, id)
		}
	}
	if s.tickets == nil {
		s.tickets = make(map[string]*ticket)
	}
	id, _ := claims["jti"].(string)
	s.tickets[id] = &ticket{nonce: ch.serverNonce, aikArea: ch.aikArea, expires: now.Add(joinTokenLife)}
	return nil
}

// answered checks the answer to a challenge. A challenge is used up by its
// first answer, be it right or wrong. One that was given out by a join is
// answered by a join.
func (s *Server) answered(text string, join bool) (*challenge, *assertionClaims, error) {
	var ch *challenge
	claims := new(assertionClaims)
	parser := jwt.NewParser(jwt.WithValidMethods([]string{"HS256"}), jwt.WithTimeFunc(s.now), jwt.WithLeeway(skew), jwt.WithExpirationRequired(), jwt.WithIssuedAt())
	_, err := parser.ParseWithClaims(text, claims, func(t *jwt.Token) (any, error) {
		id, _ := t.Header["kid"].(string)
		if id != claims.ID {
			return nil, errors.New("kid is not jti")
		}
		var err error
		if ch, err = s.useChallenge(id); err != nil {
			return nil, err
		}
		return hkdf.Key(sha256.New, ch.secret, ch.serverNonce, ch.profile+" assertion\x00"+id, sha256.Size)
	})
	var no *refused
	switch {
	case errors.As(err, &no):
		return nil, nil, no
	case errors.Is(err, jwt.ErrTokenSignatureInvalid):
		return nil, nil, noGrant("invalid_grant", "tpm_activation_failed", 50155, "the assertion is not by the challenge's secret")
	case err != nil:
		return nil, nil, noGrant("invalid_grant", "", 50013, "assertion: %w", err)
	}
	if err := s.checkClaims(ch, claims); err != nil {
		return nil, nil, noGrant("invalid_grant", "", 50013, "assertion: %w", err)
	}
	if join != (ch.profile == profileJoin) {
		return nil, nil, noGrant("invalid_grant", "", 50013, "assertion: it is of profile %q", ch.profile)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if !join && !s.nonces.use(claims.RequestNonce, s.now()) {
		return nil, nil, noGrant("invalid_grant", "", 50196, "request_nonce is unknown, used or expired")
	}
	return ch, claims, nil
}

// useChallenge finds a challenge that is open, and uses it up.
func (s *Server) useChallenge(id string) (*challenge, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	ch := s.challenges[id]
	switch {
	case ch == nil:
		return nil, noGrant("invalid_grant", "tpm_challenge_expired", 50155, "the challenge is unknown")
	case ch.used:
		return nil, noGrant("invalid_grant", "tpm_challenge_replayed", 50155, "the challenge was answered before")
	case s.now().After(ch.expires):
		return nil, noGrant("invalid_grant", "tpm_challenge_expired", 50155, "the challenge has expired")
	}
	ch.used = true
	return ch, nil
}

// checkClaims checks what an assertion, whose MAC is right, says.
func (s *Server) checkClaims(ch *challenge, c *assertionClaims) error {
	subject := "ek:" + base64.RawURLEncoding.EncodeToString(ch.ek[:])
	key, said := "aik_name", c.AIKName
	if ch.device != nil {
		key, said = "dk_name", c.DKName
	}
	name, err := base64.RawURLEncoding.DecodeString(said)
	if err != nil {
		return fmt.Errorf("%s: %w", key, err)
	}
	nonce, err := base64.StdEncoding.DecodeString(c.ClientNonce)
	if err != nil {
		return fmt.Errorf("client_nonce: %w", err)
	}
	switch {
	case c.Issuer != subject || c.Subject != subject:
		return errors.New("it is of another endorsement key")
	case len(c.Audience) != 1 || c.Audience[0] != ch.audience:
		return errors.New("it is for another audience")
	case c.IssuedAt == nil || c.ExpiresAt.Sub(c.IssuedAt.Time) > assertionLife:
		return fmt.Errorf("it is valid for more than %v", assertionLife)
	case !bytes.Equal(nonce, ch.clientNonce):
		return errors.New("client_nonce is not the challenge's")
	case !bytes.Equal(name, ch.name):
		return fmt.Errorf("%s is not the challenge's", key)
	case ch.device != nil && c.Confirm["jkt"] != thumbprint(ch.device):
		return errors.New("it is for another device key than was proved")
	case ch.profile == profileJoin && (c.Confirm["jkt"] == "" || c.TransportKey == ""):
		return errors.New("it names no keys")
	}
	return nil
}
