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

// assertionLife is the longest validity of an assertion.
const assertionLife = 300 * time.Second

// A ticket is a device token that the server issued.
type ticket struct {
	nonce   []byte  // nonce of its challenge, for the attestation of the join
	aikArea []byte  // public area of the attestation key that was proved; nil for a device key
	joined  *joined // nil until it is used
}

// assertionClaims are the claims of an assertion.
type assertionClaims struct {
	jwt.RegisteredClaims
	RequestNonce string            `json:"request_nonce"`
	ClientNonce  string            `json:"client_nonce"`
	AIKName      string            `json:"aik_name"`
	DKName       string            `json:"dk_name"`
	Confirm      map[string]string `json:"cnf,omitempty"`
	TransportKey string            `json:"tk_sha256,omitempty"`
}

// ticketClaims are the claims of a token for a join.
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
	Source       string            `json:"src"` // sourceTicket, or "" for an answer to a challenge
}

// serveAssertion exchanges the answer to a challenge for a device token.
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
	if err := s.checkClient(r.PostForm.Get("client_id"), ""); err != nil {
		return err
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

// proved returns the claims of the token for a device that proved its TPM. It imports the
// device if Admit accepts it, and keeps the token.
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

// admit imports the endorsement key of an answered challenge if it is not in the directory
// and Admit accepts it.
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

// grant finds the device of a challenge and keeps the token for it.
func (s *Server) grant(ch *challenge, claims jwt.MapClaims) error {
	now := s.now()
	s.mu.Lock()
	defer s.mu.Unlock()
	o := s.byEK(ch.ek)
	if o == nil {
		return noGrant("invalid_grant", "tpm_ek_unknown", 50155, "no device with this endorsement key is registered")
	}
	claims["ztdid"] = o.ZTDID
	id, _ := claims["jti"].(string)
	s.keepTicket(id, &ticket{nonce: ch.serverNonce, aikArea: ch.aikArea}, now)
	return nil
}

// answered checks the answer to a challenge. The first answer uses the challenge up, even if
// it is wrong. join says whether the answer came with a join: a challenge of profile
// challenge-401 can be answered only there, and any other only elsewhere.
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
		return nil, nil, noGrant("invalid_grant", "tpm_activation_failed", 50155, "the assertion's MAC is not by the challenge's secret")
	case err != nil:
		return nil, nil, noGrant("invalid_grant", "", 50013, "assertion: %w", err)
	}
	if err := s.checkClaims(ch, claims); err != nil {
		return nil, nil, noGrant("invalid_grant", "", 50013, "assertion: %w", err)
	}
	if join != (ch.profile == profileJoin) {
		return nil, nil, noGrant("invalid_grant", "", 50013, "assertion: its challenge is of profile %q", ch.profile)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if !join && !s.nonces.use(claims.RequestNonce, s.now()) {
		return nil, nil, noGrant("invalid_grant", "", 50196, "request_nonce is unknown, used or expired")
	}
	return ch, claims, nil
}

// checkClaims checks the claims of an assertion whose MAC is right.
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
	var print string
	if ch.device != nil {
		if print, err = thumbprint(ch.device); err != nil {
			return err
		}
	}
	switch {
	case c.Issuer != subject || c.Subject != subject:
		return errors.New("it is for another endorsement key")
	case len(c.Audience) != 1 || c.Audience[0] != ch.audience:
		return errors.New("it is for another audience")
	case c.IssuedAt == nil || c.ExpiresAt.Sub(c.IssuedAt.Time) > assertionLife:
		return fmt.Errorf("it is valid for more than %v", assertionLife)
	case !bytes.Equal(nonce, ch.clientNonce):
		return errors.New("client_nonce is not the challenge's")
	case !bytes.Equal(name, ch.name):
		return fmt.Errorf("%s is not the challenge's", key)
	case ch.device != nil && c.Confirm["jkt"] != print:
		return errors.New("it is for another device key than the one that is proved")
	case ch.profile == profileJoin && (c.Confirm["jkt"] == "" || c.TransportKey == ""):
		return errors.New("it does not name both keys of the join")
	}
	return nil
}
