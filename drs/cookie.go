package drs

import "context"

// CookieName is the name of the cookie for [Client.Cookie].
const CookieName = "x-ms-RefreshTokenCredential"

// Cookie returns the value of the cookie [CookieName], with which a browser on the device
// signs in as the session's user. It has a nonce of the service, and is valid for one
// sign-in shortly after the call.
//
// The error is an [*Error]. It wraps [ErrEndpoint]; [ErrMalformed]; [ErrTenant] if d is for
// another tenant than s; or [ErrSession] if s is nil or the transport key cannot decrypt the
// session key.
func (c *Client) Cookie(ctx context.Context, d *Discovery, s *Session) (Token, error) {
	d = c.services(d)
	fail := func(err error) (Token, error) { return "", asError(opCookie, d.TokenEndpoint, err) }
	if s == nil || s.hidden == nil {
		return fail(ErrSession)
	}
	if err := s.checkTenant(d); err != nil {
		return fail(err)
	}
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
