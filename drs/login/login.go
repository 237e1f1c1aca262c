// Package login gets a user's token from the token service of a tenant, such as the token
// for a join (package drs) or for an enrollment (package mdm). There are three ways:
//
//	DeviceCode  the user enters a code in a browser on any device (RFC 8628)
//	Browser     a browser on this machine returns an authorization code to a port of the
//	            loopback interface (RFC 8252), with PKCE (RFC 7636)
//	Password    the password goes to the token service, for tests
//
// The tenant's services come from [drs.Client.Discover]:
//
//	c := new(login.Client)
//	user := &provision.User{
//		Name: "ada@contoso.com",
//		JoinToken: func(ctx context.Context, d *drs.Discovery) (drs.Token, error) {
//			t, err := c.DeviceCode(ctx, d, show)
//			if err != nil {
//				return "", err
//			}
//			return t.Token, nil
//		},
//	}
//
// The requests follow open clients, at version 1 of the endpoints. The answers are checked
// for their form only: the caller uses the token as an opaque text.
package login

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/whiteglove/whiteglove/drs"
	"github.com/whiteglove/whiteglove/internal/misuse"
	"github.com/whiteglove/whiteglove/internal/wire"
)

// maxAnswer is the largest answer that is read, in bytes.
const maxAnswer = 256 << 10

// The values of drs.Error.Op.
const (
	opDeviceCode = "DeviceCode"
	opBrowser    = "Browser"
	opPassword   = "Password"
)

// A Client signs users in. Its zero value is ready to use. It keeps nothing between calls;
// several goroutines may use it at the same time.
type Client struct {
	HTTPClient *http.Client // if nil, http.DefaultClient

	// ClientID is the OAuth client identifier. If empty, it is [drs.BrokerClient], with
	// which Windows gets tokens for a join. No loopback redirect URI is registered for that
	// client: for Browser, name one for which there is, such as that of the Azure CLI.
	ClientID string

	// Resource is what the token is for. If empty, it is Discovery.JoinResource and, if
	// that is empty too, drs.DefaultResource.
	Resource string

	// Hint is the user principal name that the sign-in page shows. It may be empty.
	Hint string

	Now func() time.Time // current time; if nil, time.Now
}

// A Token is what a user's sign-in returns.
type Token struct {
	Token        drs.Token // bearer token for the resource
	RefreshToken drs.Token // such as for drs.SignIn.RefreshToken; may be empty

	// ClientID is the client for which both were issued. A refresh token is of use for that
	// client only; see drs.SignIn.ClientID.
	ClientID string

	Expires time.Time // end of the validity of Token
}

// Password gets a token by the password grant (RFC 6749, section 4.3). A service refuses it if
// the user needs a second factor or signs in elsewhere. It is for tests.
//
// The error is a [*drs.Error]. It wraps [drs.ErrEndpoint] if d has no token endpoint of the
// known form, or one that is not https (http is for a server on this machine that was found over
// http); [drs.ErrMalformed]; or the error of ctx if that ended
// first. If the service refuses, it has the service's HTTPStatus and Code.
func (c *Client) Password(ctx context.Context, d *drs.Discovery, user string, password drs.Token) (*Token, error) {
	form := url.Values{"grant_type": {"password"}, "username": {user}, "password": {string(password)}, "scope": {"openid"}}
	return c.token(ctx, opPassword, d, form)
}

// token posts a form with a grant to the token endpoint.
func (c *Client) token(ctx context.Context, op string, d *drs.Discovery, form url.Values) (*Token, error) {
	at, err := endpoint(d, "token")
	if err != nil {
		return nil, &drs.Error{Op: op, Err: err}
	}
	form.Set("client_id", c.client())
	form.Set("resource", c.resource(d))
	var a struct {
		Type         string          `json:"token_type"`
		AccessToken  string          `json:"access_token"`
		RefreshToken string          `json:"refresh_token"`
		ExpiresIn    json.RawMessage `json:"expires_in"`
	}
	if err := c.post(ctx, op, at, form, &a); err != nil {
		return nil, err
	}
	life, err := seconds(a.ExpiresIn)
	if err == nil && (!strings.EqualFold(a.Type, "Bearer") || a.AccessToken == "") {
		err = fmt.Errorf("%w: there is no bearer token", drs.ErrMalformed)
	}
	if err != nil {
		return nil, &drs.Error{Op: op, URL: wire.Redact(at), HTTPStatus: http.StatusOK, Err: err}
	}
	return &Token{Token: drs.Token(a.AccessToken), RefreshToken: drs.Token(a.RefreshToken), ClientID: c.client(), Expires: c.now().Add(life)}, nil
}

// post posts a form and reads the JSON answer into out. Its errors are *drs.Error.
func (c *Client) post(ctx context.Context, op, at string, form url.Values, out any) error {
	failed := &drs.Error{Op: op, URL: wire.Redact(at)}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, at, strings.NewReader(form.Encode()))
	if err != nil {
		failed.Err = fmt.Errorf("%w: it cannot be used in a request", drs.ErrEndpoint)
		return failed
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Accept", "application/json")
	client := c.HTTPClient
	if client == nil {
		client = http.DefaultClient
	}
	got, err := wire.Do(client, req, maxAnswer)
	if err != nil {
		failed.Err = err
		return failed
	}
	failed.HTTPStatus = got.Status
	if got.Status != http.StatusOK {
		var no struct {
			Error       string `json:"error"`
			Description string `json:"error_description"`
			Suberror    string `json:"suberror"`
			TraceID     string `json:"trace_id"`
		}
		failed.RetryAfter = wire.RetryAfter(got.Header, c.now())
		if json.Unmarshal(got.Body, &no) != nil { // a proxy's page or text
			failed.Message = wire.Page(got.Body)
			if wire.IsHTML(got.Body) && wire.Barred(got.Status) {
				failed.Err = wire.ErrWebPage
			}
			return failed
		}
		failed.Code, failed.Subcode = visible(no.Error), visible(no.Suberror)
		failed.Message, failed.RequestID = visible(no.Description), visible(no.TraceID)
		return failed
	}
	if wire.IsHTML(got.Body) {
		failed.Message, failed.Err = wire.Page(got.Body), fmt.Errorf("%w: %w", drs.ErrMalformed, wire.ErrWebPage)
		return failed
	}
	if err := json.Unmarshal(got.Body, out); err != nil {
		failed.Err = fmt.Errorf("%w: %w", drs.ErrMalformed, err)
		return failed
	}
	return nil
}

// visible returns a text of the service for an error.
func visible(s string) string { return wire.Visible(s[:min(len(s), 2048)]) }

// endpoint returns an endpoint of version 1 of the token service, such as "devicecode".
func endpoint(d *drs.Discovery, name string) (string, error) {
	if d == nil {
		return "", fmt.Errorf("%w: %w", drs.ErrEndpoint, misuse.Errorf("no discovery: get one by drs.Client.Discover"))
	}
	base, ok := strings.CutSuffix(d.TokenEndpoint, "/oauth2/token")
	if !ok {
		if base, ok = strings.CutSuffix(d.TokenEndpoint, "/oauth2/v2.0/token"); !ok {
			return "", fmt.Errorf("%w: the token endpoint does not have the form …/oauth2/token", drs.ErrEndpoint)
		}
	}
	at := base + "/oauth2/" + name
	if err := wire.CheckSecure(at); err != nil {
		u, uerr := url.Parse(at)
		// As for package drs, a test server at the loopback interface need not have TLS.
		if uerr != nil || u.Scheme != "http" || u.Hostname() != "127.0.0.1" && u.Hostname() != "localhost" && u.Hostname() != "::1" {
			return "", fmt.Errorf("%w: %w", drs.ErrEndpoint, err)
		}
	}
	return at, nil
}

// seconds reads a number of seconds, which version 1 of the endpoints sends as a text.
func seconds(raw json.RawMessage) (time.Duration, error) {
	n, err := strconv.ParseUint(strings.Trim(string(raw), `"`), 10, 31)
	if err != nil {
		return 0, fmt.Errorf("%w: a lifetime is not a number", drs.ErrMalformed)
	}
	return time.Duration(n) * time.Second, nil
}

func (c *Client) client() string {
	if c.ClientID != "" {
		return c.ClientID
	}
	return drs.BrokerClient
}

func (c *Client) resource(d *drs.Discovery) string {
	switch {
	case c.Resource != "":
		return c.Resource
	case d.JoinResource != "":
		return d.JoinResource
	}
	return drs.DefaultResource
}

func (c *Client) now() time.Time {
	if c.Now != nil {
		return c.Now()
	}
	return time.Now()
}

// fail returns err as a *drs.Error.
func fail(op string, err error) error {
	var e *drs.Error
	if errors.As(err, &e) {
		return err
	}
	return &drs.Error{Op: op, Err: err}
}
