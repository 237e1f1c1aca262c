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
	"github.com/whiteglove/whiteglove/internal/wire"
)

// DefaultResource is the public enrollment service, for which a [TokenRequest]
// without a Resource asks.
const DefaultResource = "https://enrollment.manage.microsoft.com/"

// The client that a TokenRequest with empty fields speaks for: the token broker of
// Windows.
const (
	brokerClient   = "29d9ed98-a469-4536-ade2-f981bc1d605e"
	brokerRedirect = "ms-aadj-redir://auth/mdm"
)

// maxToken bounds a token answer, in bytes.
const maxToken = 64 << 10

// A TokenClient trades a device's key for tokens. Only Endpoint is required.
type TokenClient struct {
	Endpoint   string           // token endpoint of the tenant
	HTTPClient *http.Client     // if nil, http.DefaultClient
	Now        func() time.Time // if nil, time.Now
	Logger     *slog.Logger     // if nil, nothing is logged
}

// A TokenRequest asks for a token: the device's own, which says nothing of a
// user, or a user's. Certificate and DeviceKey are required.
type TokenRequest struct {
	Certificate *x509.Certificate // of DeviceKey, from the join
	DeviceKey   crypto.Signer     // RSA; signs the request
	Resource    string            // whom the token is for; if empty, DefaultResource
	ClientID    string            // if empty, "29d9ed98-a469-4536-ade2-f981bc1d605e", the token broker of Windows
	RedirectURI string            // if empty, "ms-aadj-redir://auth/mdm"

	// RefreshToken, if set, is a user's, which is traded for a token of that
	// user on this device.
	RefreshToken Token
}

// Exchange asks for a nonce, signs it with the device key and returns the
// token it is traded for. Errors are of type [*Error]; Op is "Nonce" or
// "Exchange".
func (c *TokenClient) Exchange(ctx context.Context, req *TokenRequest) (Token, error) {
	if err := req.check(); err != nil {
		return "", &Error{Op: opExchange, Err: err}
	}
	nonce, err := c.nonce(ctx)
	if err != nil {
		return "", err
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

func (r *TokenRequest) check() error {
	if r == nil || r.Certificate == nil || r.DeviceKey == nil {
		return errors.New("the request has no certificate or no device key")
	}
	if !samePublicKey(r.Certificate.PublicKey, r.DeviceKey.Public()) {
		return errors.New("the certificate is of another key")
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

// A tokenAnswer is what a token endpoint answers to any request.
type tokenAnswer struct {
	Nonce       string `json:"Nonce"`
	TokenType   string `json:"token_type"`
	AccessToken string `json:"access_token"`
	Error       string `json:"error"`
	Description string `json:"error_description"`
	TraceID     string `json:"trace_id"`
}

// checkToken checks that there is a bearer token of characters that RFC 6750,
// section 2.1 allows.
func (a *tokenAnswer) checkToken() error {
	if !strings.EqualFold(a.TokenType, "Bearer") {
		return fmt.Errorf("the answer has no bearer token: its type is %.40q", a.TokenType)
	}
	for _, r := range a.AccessToken {
		if r <= ' ' || r > '~' {
			return errors.New("the token has characters that no token has")
		}
	}
	if a.AccessToken == "" {
		return errors.New("the answer's token is empty")
	}
	return nil
}

// post sends a form. An OAuth error (RFC 6749, section 5.2) is an error with
// any status.
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
	}
	if err := json.Unmarshal(got.Body, answer); err != nil && got.Status == http.StatusOK {
		failed.Err = fmt.Errorf("reading the answer: %w", err)
		return nil, failed
	}
	if answer.Error != "" || got.Status != http.StatusOK {
		failed.OAuth, failed.Message = wire.Words(answer.Error), wire.Words(answer.Description)
		failed.TraceID = wire.Words(answer.TraceID)
		return nil, failed
	}
	return answer, nil
}
