package drs

import (
	"context"
	"encoding/json"
	"fmt"
	"time"
)

// CookieName is the name of the cookie for [Client.Cookie].
const CookieName = "x-ms-RefreshTokenCredential"

// brokerIssuer is the issuer in requests of the token broker of Windows.
const brokerIssuer = "aad:brokerplugin"

// requestLife is how long a signed request is valid.
const requestLife = 5 * time.Minute

// An AccessToken is a bearer token of a user for a resource.
type AccessToken struct {
	Token    Token
	Resource string    // as requested
	Expires  time.Time // end of the token's validity
}

// Renew returns a session with a new refresh token. It has the session key of s unless the
// service sends a new one. Call it before s.Expires.
//
// The error is an [*Error]. It wraps [ErrEndpoint]; [ErrMalformed]; or [ErrSession] if s is
// nil or the transport key cannot decrypt the session key. If the service refuses, it has
// the service's HTTPStatus, Code and Subcode, such as "session_revoked".
func (c *Client) Renew(ctx context.Context, d *Discovery, s *Session) (*Session, error) {
	d = c.services(d)
	fail := func(err error) (*Session, error) { return nil, asError(opRenew, d.TokenEndpoint, err) }
	if s == nil || s.hidden == nil {
		return fail(ErrSession)
	}
	var a sessionAnswer
	err := c.exchange(ctx, opRenew, d, s, map[string]any{
		"client_id": signInClient, "scope": "openid aza ugs", "previous_refresh_token": string(s.hidden().token),
	}, &a)
	if err != nil {
		return fail(err)
	}
	out, err := c.session(&a, s.hidden())
	if err != nil {
		return fail(err)
	}
	out.UPN, out.TenantID = s.UPN, s.TenantID
	if a.SessionKey != "" {
		err = out.use(func([]byte) error { return nil })
	}
	if err != nil {
		return fail(err)
	}
	return out, nil
}

// AccessToken requests a token of the session's user for a resource, for the OAuth client
// [BrokerClient].
//
// The error is an [*Error]. It wraps [ErrEndpoint]; [ErrMalformed]; or [ErrSession] if s is
// nil or the transport key cannot decrypt the session key. If the service refuses, it has
// the service's HTTPStatus, Code and Subcode.
func (c *Client) AccessToken(ctx context.Context, d *Discovery, s *Session, resource string) (*AccessToken, error) {
	d = c.services(d)
	fail := func(err error) (*AccessToken, error) { return nil, asError(opAccess, d.TokenEndpoint, err) }
	var a tokenAnswer
	err := c.exchange(ctx, opAccess, d, s, map[string]any{
		"client_id": BrokerClient, "scope": "openid", "resource": resource,
		"redirect_uri": "ms-appx-web://Microsoft.AAD.BrokerPlugin/" + BrokerClient,
	}, &a)
	if err != nil {
		return fail(err)
	}
	life, err := a.check()
	if err != nil {
		return fail(err)
	}
	return &AccessToken{Token: Token(a.AccessToken), Resource: resource, Expires: c.now().Add(life)}, nil
}

// Cookie returns the value of the cookie [CookieName], with which a browser on the device
// signs in as the session's user. It has a nonce of the service, and is valid for one
// sign-in shortly after the call.
//
// The error is an [*Error]. It wraps [ErrEndpoint]; [ErrMalformed]; or [ErrSession] if s is
// nil or the transport key cannot decrypt the session key.
func (c *Client) Cookie(ctx context.Context, d *Discovery, s *Session) (Token, error) {
	d = c.services(d)
	fail := func(err error) (Token, error) { return "", asError(opCookie, d.TokenEndpoint, err) }
	nonce, err := c.requestNonce(ctx, opCookie, d.TokenEndpoint)
	if err != nil {
		return fail(err)
	}
	var text string
	err = s.use(func(key []byte) (err error) {
		text, err = s.sign(key, map[string]any{"refresh_token": string(s.hidden().token), "is_primary": "true", "request_nonce": nonce})
		return err
	})
	if err != nil {
		return fail(err)
	}
	return Token(text), nil
}

// exchange sends a request that the session key signs, and reads its reply into v.
func (c *Client) exchange(ctx context.Context, op string, d *Discovery, s *Session, claims map[string]any, v any) error {
	if s == nil || s.hidden == nil {
		return ErrSession
	}
	nonce, err := c.requestNonce(ctx, op, d.TokenEndpoint)
	if err != nil {
		return err
	}
	now := c.now()
	for name, value := range map[string]any{
		"grant_type": "refresh_token", "refresh_token": string(s.hidden().token), "request_nonce": nonce,
		"iss": brokerIssuer, "aud": "login.microsoftonline.com", "iat": now.Unix(), "exp": now.Add(requestLife).Unix(),
	} {
		claims[name] = value
	}
	return s.use(func(key []byte) error {
		text, err := s.sign(key, claims)
		if err != nil {
			return err
		}
		k := postForm(op, d.TokenEndpoint, requestForm(text))
		reply, err := c.send(ctx, k)
		if err != nil {
			return err
		}
		if err := openReply(reply.Body, key, v); err != nil {
			return k.failed(reply, err)
		}
		return nil
	})
}

// sign returns a JWT with a MAC by a key that is derived from the session key and a new
// context.
func (s *Session) sign(key []byte, claims map[string]any) (string, error) {
	// The claims are encoded once, because version 2 of the derivation hashes them.
	text, err := json.Marshal(claims)
	if err != nil {
		return "", fmt.Errorf("signing the request: %w", err)
	}
	defer clear(text)
	return signSession(key, newContext(), text, s.hidden().version2)
}
