package drs

import (
	"context"
	"time"
)

// An AccessToken is a bearer token of a user for a resource.
type AccessToken struct {
	Token    Token
	Resource string    // as requested
	Expires  time.Time // end of the token's validity
}

// AccessToken requests a token of the session's user for a resource, for the OAuth client
// [BrokerClient].
//
// The error is an [*Error]. It wraps [ErrEndpoint]; [ErrMalformed], also if the reply is not
// encrypted and Client.PlainReplies is false; [ErrTenant] if s or the token is for another
// tenant than d; or [ErrSession] if s is nil or the transport key cannot decrypt the session
// key. If the service refuses, it has the service's HTTPStatus, Code and Subcode.
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
	if err := sameTenant("the token", tokenTenant(Token(a.AccessToken)), d.TenantID); err != nil {
		return fail(err)
	}
	life, err := a.check()
	if err != nil {
		return fail(err)
	}
	return &AccessToken{Token: Token(a.AccessToken), Resource: resource, Expires: c.now().Add(life)}, nil
}
