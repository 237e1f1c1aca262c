package drs

import (
	"context"
	"fmt"
)

// Renew returns a session with a new refresh token. It has the session key of s unless the
// service sends a new one. Call it before s.Expires; Windows does so every four hours.
//
// The error is an [*Error]. It wraps [ErrEndpoint]; [ErrMalformed], also if the reply is not
// encrypted and Client.PlainReplies is false; [ErrTenant] if d or the answer is for another
// tenant than s; or [ErrSession] if s is nil or the transport key cannot decrypt the session
// key. If the service refuses, it has the service's HTTPStatus, Code and Subcode, such as
// "session_revoked".
func (c *Client) Renew(ctx context.Context, d *Discovery, s *Session) (*Session, error) {
	d = c.services(d)
	fail := func(err error) (*Session, error) { return nil, asError(opRenew, d.TokenEndpoint, err) }
	if s == nil || s.hidden == nil {
		return nil, &Error{Op: opRenew, Err: ErrSession}
	}
	var a sessionAnswer
	claims := map[string]any{"client_id": signInClient, "scope": "openid aza ugs", "previous_refresh_token": string(s.hidden().token)}
	if s.hidden().protocol != protocol2 {
		claims = map[string]any{"client_id": BrokerClient, "scope": "aza openid", "redirect_uri": brokerRedirect}
	}
	err := c.exchange(ctx, opRenew, d, s, claims, &a)
	if err != nil {
		return fail(err)
	}
	if err := sameTenant("the answer", a.DeviceTenant, or(s.TenantID, d.TenantID)); err != nil {
		return fail(err)
	}
	out, err := c.session(&a, s.hidden())
	if err != nil {
		return fail(err)
	}
	if a.IDToken != "" {
		tenant := *d
		tenant.TenantID = or(s.TenantID, d.TenantID)
		if err := new(Session).identify(a.IDToken, &SignIn{Username: s.UPN, ClientID: fmt.Sprint(claims["client_id"])}, &tenant, c.now()); err != nil {
			return fail(err)
		}
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
