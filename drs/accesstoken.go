package drs

import (
	"context"
	"strings"
	"time"

	"github.com/whiteglove/whiteglove/internal/misuse"
)

// An AccessRequest says for what [Client.AccessToken] requests a token. Resource is
// required.
type AccessRequest struct {
	Resource string // such as "https://enrollment.manage.microsoft.com/"
	Scope    string // further scopes; if empty, "openid", and in protocols 3 and 4 "openid offline_access"
	ClientID string // OAuth client identifier; if empty, BrokerClient

	// RedirectURI is a redirect URI that is registered for the client. If empty, it is
	// RedirectBroker, followed by a slash and ClientID unless that is BrokerClient.
	RedirectURI string
}

// An AccessToken is a bearer token of a user for a resource.
type AccessToken struct {
	Token        Token
	RefreshToken Token     // for the same client; may be empty
	Resource     string    // as requested
	Expires      time.Time // end of the token's validity
}

// AccessToken requests a token of the session's user for a resource and a client.
//
// The error is an [*Error]. It wraps [ErrEndpoint]; [ErrMalformed], also if the reply is not
// encrypted and Client.PlainReplies is false; [ErrTenant] if s or the token is for another
// tenant than d; or [ErrSession] if s is nil or the transport key cannot decrypt the session
// key. If the service refuses, it has the service's HTTPStatus, Code and Subcode. If req is
// nil or has no resource, it wraps none of these.
func (c *Client) AccessToken(ctx context.Context, d *Discovery, s *Session, req *AccessRequest) (*AccessToken, error) {
	d = c.services(d)
	fail := func(err error) (*AccessToken, error) { return nil, asError(opAccess, d.TokenEndpoint, err) }
	if req == nil || req.Resource == "" {
		return nil, &Error{Op: opAccess, Err: misuse.Errorf("the request has no resource")}
	}
	if s == nil || s.hidden == nil {
		return nil, &Error{Op: opAccess, Err: ErrSession}
	}
	var a struct {
		tokenAnswer
		RefreshToken string `json:"refresh_token"`
	}
	client := or(req.ClientID, BrokerClient)
	claims := map[string]any{
		"client_id": client, "scope": or(req.Scope, "openid"), "resource": req.Resource,
		"redirect_uri": or(req.RedirectURI, redirectFor(client)),
	}
	if s.hidden().protocol != protocol2 {
		// Version 2.0 of the endpoint has scopes instead of resources.
		delete(claims, "resource")
		claims["scope"] = strings.TrimSuffix(req.Resource, "/") + "/.default " + or(req.Scope, "openid offline_access")
	}
	err := c.exchange(ctx, opAccess, d, s, claims, &a)
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
	refresh := Token(a.RefreshToken[:min(len(a.RefreshToken), maxToken)])
	return &AccessToken{Token: Token(a.AccessToken), RefreshToken: refresh, Resource: req.Resource, Expires: c.now().Add(life)}, nil
}
