package drs

import "context"

// CookieName is the name of the cookie for [Client.Cookie].
const CookieName = "x-ms-RefreshTokenCredential"

// A CookieRequest says for what [Client.Cookie] makes a cookie. Open clients leave all of it
// empty.
type CookieRequest struct {
	// Nonce is that of the sign-in page (sso_nonce in its URL). If empty, Cookie requests
	// one.
	Nonce string

	ClientID    string // OAuth client identifier of the browser's program; may be empty
	RedirectURI string // of that program; may be empty
}

// Cookie returns the value of the cookie [CookieName], with which a browser on the device
// signs in as the session's user. It has a nonce of the service, and is valid for one
// sign-in shortly after the call. req may be nil.
//
// The error is an [*Error]. It wraps [ErrEndpoint]; [ErrMalformed]; [ErrTenant] if d is for
// another tenant than s; or [ErrSession] if s is nil or the transport key cannot decrypt the
// session key.
func (c *Client) Cookie(ctx context.Context, d *Discovery, s *Session, req *CookieRequest) (Token, error) {
	d = c.services(d)
	fail := func(err error) (Token, error) { return "", asError(opCookie, d.TokenEndpoint, err) }
	if s == nil || s.hidden == nil {
		return "", &Error{Op: opCookie, Err: ErrSession}
	}
	if err := s.checkTenant(d); err != nil {
		return fail(err)
	}
	var own CookieRequest
	if req != nil {
		own = *req
	}
	var err error
	if own.Nonce == "" {
		if own.Nonce, err = c.requestNonce(ctx, opCookie, d.TokenEndpoint); err != nil {
			return fail(err)
		}
	}
	claims := map[string]any{"refresh_token": string(s.hidden().token), "is_primary": "true", "request_nonce": own.Nonce}
	if own.ClientID != "" {
		claims["ua_client_id"] = own.ClientID
	}
	if own.RedirectURI != "" {
		claims["ua_redirect_uri"] = own.RedirectURI
	}
	var text string
	err = s.use(func(key []byte) (err error) {
		text, err = s.sign(key, claims)
		return err
	})
	if err != nil {
		return fail(err)
	}
	return Token(text), nil
}
