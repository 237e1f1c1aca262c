package mdm

import (
	"context"
	"crypto"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/whiteglove/whiteglove/internal/jose"
	"github.com/whiteglove/whiteglove/internal/misuse"
	"github.com/whiteglove/whiteglove/internal/wire"
)

// DefaultResource is the resource of the public enrollment service. A
// [TokenRequest] without a Resource asks for a token for it.
const DefaultResource = "https://enrollment.manage.microsoft.com/"

// The client that a TokenRequest with empty fields names: the token broker of
// Windows.
const (
	brokerClient   = "29d9ed98-a469-4536-ade2-f981bc1d605e"
	brokerRedirect = "ms-aadj-redir://auth/mdm"
)

// maxToken bounds a token answer, in bytes.
const maxToken = 64 << 10

// A TokenClient requests tokens from the directory with the device's key. Only
// Endpoint is required. It is safe for concurrent use as long as its fields do
// not change.
type TokenClient struct {
	// Endpoint is the URL of the tenant's OAuth 2.0 token endpoint.
	Endpoint string

	// HTTPClient sends the requests. If it is nil, it is [http.DefaultClient].
	// The client works on a copy that follows no redirect. If its Timeout is 0,
	// a request is limited to two minutes and a body to no less than 512 bytes a
	// second.
	HTTPClient *http.Client

	// Now returns the current time. If it is nil, it is [time.Now].
	Now func() time.Time

	// Logger receives debug records. If it is nil, nothing is logged.
	Logger *slog.Logger
}

// A TokenRequest asks for a token of the device, which names no user, or for a
// token of a user on the device. Certificate and DeviceKey are required.
type TokenRequest struct {
	// Certificate is the device certificate from the join.
	Certificate *x509.Certificate

	// DeviceKey is the RSA key of Certificate. It signs the request (RS256).
	DeviceKey crypto.Signer

	// Resource is the service that the token is for. If it is empty, it is
	// DefaultResource.
	Resource string

	// ClientID and RedirectURI name the client that asks. If they are empty,
	// they are those of the token broker of Windows,
	// "29d9ed98-a469-4536-ade2-f981bc1d605e" and "ms-aadj-redir://auth/mdm".
	ClientID    string
	RedirectURI string

	// Nonce is a nonce of the directory, from [TokenClient.Nonce]. If it is empty,
	// Exchange requests one first.
	Nonce string

	// RefreshToken is a refresh token of a user. If it is not empty, the answer
	// is a token of that user; if it is empty, a token of the device.
	RefreshToken Token
}

// Nonce requests a nonce of the directory for the field Nonce of one [TokenRequest]. It
// needs nothing of the device, so it can be requested beforehand; the directory accepts a
// nonce once and for some minutes.
//
// The error is an [*Error] with the operation "Nonce". It wraps the error of ctx if that
// ended first.
func (c *TokenClient) Nonce(ctx context.Context) (string, error) { return c.nonce(ctx) }

// Exchange requests a nonce, unless the request has one, signs a request that holds it
// with the device key, and returns the token that the directory answers with. The two
// requests are a form each; the signed one is a JWT with the device certificate in its header
// (x5c).
//
// The error is an [*Error] with the operation "Nonce" or "Exchange". Its field
// OAuth has the directory's error code, if that answered with one. It wraps the
// error of the key if that does not sign, and the error of ctx if that ended
// first.
func (c *TokenClient) Exchange(ctx context.Context, req *TokenRequest) (Token, error) {
	if err := req.check(); err != nil {
		return "", &Error{Op: opExchange, Err: err}
	}
	nonce := req.Nonce
	if nonce == "" {
		var err error
		if nonce, err = c.nonce(ctx); err != nil {
			return "", err
		}
	}
	signed, err := jose.Sign(req.DeviceKey, req.Certificate, req.claims(nonce))
	if err != nil {
		return "", &Error{Op: opExchange, Err: fmt.Errorf("signing the request: %w", err)}
	}
	answer, err := c.post(ctx, opExchange, url.Values{
		"windows_api_version": {"2.2"},
		"grant_type":          {"urn:ietf:params:oauth:grant-type:jwt-bearer"},
		"request":             {signed},
	})
	if err != nil {
		return "", err
	}
	if err := answer.checkToken(); err != nil {
		return "", &Error{Op: opExchange, URL: wire.Redact(c.Endpoint), HTTPStatus: http.StatusOK, Err: err}
	}
	return Token(answer.AccessToken), nil
}

// check returns an error if r has no certificate or no key, or they do not
// belong together.
func (r *TokenRequest) check() error {
	if r == nil || r.Certificate == nil || r.DeviceKey == nil {
		return misuse.Errorf("the request has no certificate or no device key")
	}
	if !samePublicKey(r.Certificate.PublicKey, r.DeviceKey.Public()) {
		return misuse.Errorf("the certificate is for another key")
	}
	return nil
}

// claims returns the claims of a token request.
func (r *TokenRequest) claims(nonce string) jwt.MapClaims {
	claims := jwt.MapClaims{
		"grant_type":    "device_token",
		"iss":           "aad:brokerplugin",
		"scope":         "sid",
		"request_nonce": nonce,
		"resource":      or(r.Resource, DefaultResource),
		"client_id":     or(r.ClientID, brokerClient),
		"redirect_uri":  or(r.RedirectURI, brokerRedirect),
		"win_ver":       DefaultOSVersion,
	}
	if r.RefreshToken != "" {
		claims["grant_type"], claims["scope"] = "refresh_token", "openid aza"
		claims["refresh_token"] = string(r.RefreshToken)
	}
	return claims
}

// nonce requests a nonce of the directory. Its errors are *Error.
func (c *TokenClient) nonce(ctx context.Context) (string, error) {
	answer, err := c.post(ctx, opNonce, url.Values{"grant_type": {"srv_challenge"}})
	if err != nil {
		return "", err
	}
	if answer.Nonce == "" {
		return "", &Error{Op: opNonce, URL: wire.Redact(c.Endpoint), HTTPStatus: http.StatusOK, Err: errors.New("the answer has no nonce")}
	}
	return answer.Nonce, nil
}

// A tokenAnswer is an answer of the token endpoint to any of the requests.
type tokenAnswer struct {
	Nonce       string `json:"Nonce"`
	TokenType   string `json:"token_type"`
	AccessToken string `json:"access_token"`
	Error       string `json:"error"`
	Description string `json:"error_description"`
	TraceID     string `json:"trace_id"`
}

// checkToken returns an error unless the answer has a bearer token of printable
// ASCII without spaces, which includes all that RFC 6750, section 2.1 allows.
func (a *tokenAnswer) checkToken() error {
	if !strings.EqualFold(a.TokenType, "Bearer") {
		return fmt.Errorf("the answer has no bearer token: its type is %.40q", a.TokenType)
	}
	for _, r := range a.AccessToken {
		if r <= ' ' || r > '~' {
			return errors.New("the token has characters that are not allowed in a token")
		}
	}
	if a.AccessToken == "" {
		return errors.New("the answer's token is empty")
	}
	return nil
}

// post sends a form and returns the answer. An OAuth error (RFC 6749, section
// 5.2) in it is an error with any HTTP status. Its errors are *Error.
func (c *TokenClient) post(ctx context.Context, op string, form url.Values) (*tokenAnswer, error) {
	if err := wire.CheckSecure(c.Endpoint); err != nil {
		return nil, &Error{Op: op, URL: wire.Redact(c.Endpoint), Err: err}
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.Endpoint, strings.NewReader(form.Encode()))
	if err != nil {
		return nil, &Error{Op: op, Err: err}
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Accept", "application/json")
	got, err := wire.Do(wire.NoRedirects(c.HTTPClient), req, maxToken)
	if err != nil {
		return nil, &Error{Op: op, URL: wire.Redact(c.Endpoint), Err: err}
	}
	debug(ctx, c.Logger, op, c.Endpoint, got.Status)
	answer := new(tokenAnswer)
	failed := &Error{
		Op: op, URL: wire.Redact(c.Endpoint), HTTPStatus: got.Status,
		RetryAfter: wire.RetryAfter(got.Header, now(c.Now)),
		clocks:     wire.ClocksOf(got.Header, now(c.Now)),
	}
	if err := json.Unmarshal(got.Body, answer); err != nil && got.Status == http.StatusOK {
		failed.Err = fmt.Errorf("reading the answer: %w", err)
		if wire.IsHTML(got.Body) {
			failed.Message, failed.Err = wire.Page(got.Body), fmt.Errorf("%w, not JSON", wire.ErrWebPage)
		}
		return nil, failed
	}
	if answer.Error != "" || got.Status != http.StatusOK {
		failed.OAuth, failed.Message = wire.Words(answer.Error), wire.Words(answer.Description)
		failed.TraceID = wire.Words(answer.TraceID)
		if answer.Error == "" {
			failed.Message, failed.Err = wire.Said(got.Body), wire.Refusal(got)
		}
		return nil, failed
	}
	return answer, nil
}
