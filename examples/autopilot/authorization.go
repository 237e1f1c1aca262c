package main

import (
	"cmp"
	"context"
	"crypto"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/whiteglove/whiteglove/internal/jose"
	"github.com/whiteglove/whiteglove/internal/wire"
)

// An authorization gets access tokens for Microsoft Graph from Microsoft Entra (the
// OAuth 2.0 endpoints of version 2.0) in three ways.
type authorization struct {
	client    *http.Client
	authority string // such as https://login.microsoftonline.com/contoso.com/oauth2/v2.0
	clientID  string
	stderr    io.Writer // for the message to a person
	now       func() time.Time

	secret      string            // for bySecret
	certificate *x509.Certificate // for byAssertion
	key         crypto.Signer     // of certificate; it may be in a TPM

	mu      sync.Mutex
	kept    string
	expires time.Time
}

// Scopes: what an application may do by itself, and what a person may let it do.
const (
	ownScope    = "https://graph.microsoft.com/.default"
	personScope = "https://graph.microsoft.com/DeviceManagementServiceConfig.ReadWrite.All"
)

// cached returns a token source that asks again when a token is about to expire.
func (a *authorization) cached(get func(context.Context) (*tokenAnswer, error)) func(context.Context) (string, error) {
	return func(ctx context.Context) (string, error) {
		a.mu.Lock()
		defer a.mu.Unlock()
		if a.kept != "" && a.now().Before(a.expires) {
			return a.kept, nil
		}
		t, err := get(ctx)
		if err != nil {
			return "", err
		}
		a.kept, a.expires = t.Token, a.now().Add(lifetime(t.ExpiresIn))
		return a.kept, nil
	}
}

// lifetime returns how long a token that is good for some seconds is used: a minute
// less. It is five minutes at least, so that no person has to sign in for each
// request, and a day at most.
func lifetime(seconds int) time.Duration {
	return time.Duration(min(max(seconds-60, 300), 86400)) * time.Second
}

// bySecret gets a token for the application by its secret (RFC 6749, section 4.4).
func (a *authorization) bySecret(ctx context.Context) (*tokenAnswer, error) {
	return a.askToken(ctx, url.Values{
		"grant_type": {"client_credentials"}, "client_id": {a.clientID}, "scope": {ownScope}, "client_secret": {a.secret},
	})
}

// byAssertion gets a token for the application by a JWT that the key of its
// certificate signs (RFC 7523, section 2.2).
func (a *authorization) byAssertion(ctx context.Context) (*tokenAnswer, error) {
	now := a.now()
	t := jwt.NewWithClaims(jose.RS256{}, jwt.MapClaims{
		"aud": a.authority + "/token", "iss": a.clientID, "sub": a.clientID, "jti": rand.Text(),
		"nbf": now.Unix(), "exp": now.Add(10 * time.Minute).Unix(),
	})
	sum := sha256.Sum256(a.certificate.Raw)
	t.Header["x5t#S256"] = base64.RawURLEncoding.EncodeToString(sum[:])
	assertion, err := t.SignedString(a.key)
	if err != nil {
		return nil, err
	}
	return a.askToken(ctx, url.Values{
		"grant_type": {"client_credentials"}, "client_id": {a.clientID}, "scope": {ownScope},
		"client_assertion_type": {"urn:ietf:params:oauth:client-assertion-type:jwt-bearer"}, "client_assertion": {assertion},
	})
}

// byDeviceCode gets a token for a person, who signs in on another device (RFC 8628).
func (a *authorization) byDeviceCode(ctx context.Context) (*tokenAnswer, error) {
	code, err := a.ask(ctx, "/devicecode", url.Values{"client_id": {a.clientID}, "scope": {personScope}})
	if err != nil {
		return nil, err
	}
	if code.DeviceCode == "" || code.UserCode == "" || code.VerificationURI == "" {
		return nil, a.failed("/devicecode", http.StatusOK, errors.New("the answer has no user_code, verification_uri or device_code"))
	}
	fmt.Fprintf(a.stderr, "sign in at %s with the code %s\n", wire.Words(code.VerificationURI), wire.Words(code.UserCode))
	pause, ends := code.times()
	end := time.NewTimer(ends)
	defer end.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-end.C:
			return nil, errors.New("the code has expired, and nobody signed in with it: run again")
		case <-time.After(pause):
		}
		t, err := a.askToken(ctx, url.Values{
			"grant_type": {"urn:ietf:params:oauth:grant-type:device_code"}, "client_id": {a.clientID}, "device_code": {code.DeviceCode},
		})
		var refused *oauthError
		isRefused := errors.As(err, &refused)
		switch {
		case isRefused && refused.Code == "authorization_pending":
		case isRefused && refused.Code == "slow_down":
			pause += slowDown
		case isRefused && refused.Retryable() && ctx.Err() == nil:
			pause *= 2 // RFC 8628, section 3.5
		default:
			return t, err
		}
	}
}

// slowDown is by how much the pause grows if the server asks for that, and the pause
// itself if the server names none (RFC 8628, sections 3.2 and 3.5).
const slowDown = 5 * time.Second

// times returns how often to ask for the token, and how long: at most every second,
// and an hour.
func (t *tokenAnswer) times() (pause, ends time.Duration) {
	const hour = 3600
	pause, ends = slowDown, hour*time.Second
	if t.Interval != nil {
		pause = time.Duration(min(max(*t.Interval, 1), hour)) * time.Second
	}
	if t.ExpiresIn > 0 {
		ends = time.Duration(min(t.ExpiresIn, hour)) * time.Second
	}
	return pause, ends
}

// A tokenAnswer is what a token endpoint or the endpoint for device codes answers.
type tokenAnswer struct {
	Token     string `json:"access_token"`
	ExpiresIn int    `json:"expires_in"` // seconds

	DeviceCode      string `json:"device_code"`
	UserCode        string `json:"user_code"`
	VerificationURI string `json:"verification_uri"`
	Interval        *int   `json:"interval"` // seconds; nil if the server does not say
}

// askToken posts a form to the token endpoint.
func (a *authorization) askToken(ctx context.Context, form url.Values) (*tokenAnswer, error) {
	t, err := a.ask(ctx, "/token", form)
	if err == nil && t.Token == "" {
		return nil, a.failed("/token", http.StatusOK, errors.New("the answer has no access_token"))
	}
	return t, err
}

// failed returns the error of a request to a path of the endpoint.
func (a *authorization) failed(path string, status int, err error) *oauthError {
	op := map[string]string{"/token": "Token", "/devicecode": "DeviceCode"}[path]
	return &oauthError{op: op, url: wire.Redact(a.authority + path), status: status, err: err}
}

// ask posts a form. A redirect is a refusal: it would carry a secret along.
func (a *authorization) ask(ctx context.Context, path string, form url.Values) (*tokenAnswer, error) {
	if err := wire.CheckSecure(a.authority); err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, a.authority+path, strings.NewReader(form.Encode()))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	answer, err := wire.Do(wire.NoRedirects(a.client), req, 1<<20)
	if err != nil {
		return nil, a.failed(path, 0, err)
	}
	page := wire.IsHTML(answer.Body)
	failed := a.failed(path, answer.Status, nil)
	if answer.Status != http.StatusOK {
		failed.wait = wire.RetryAfter(answer.Header, a.now())
		switch {
		case page && wire.Barred(answer.Status):
			failed.err = wire.ErrWebPage
		case json.Unmarshal(answer.Body, failed) != nil:
			failed.Description = wire.Page(answer.Body)
		}
		return nil, failed
	}
	var t tokenAnswer
	switch err := json.Unmarshal(answer.Body, &t); {
	case err == nil:
		return &t, nil
	case page:
		failed.err = wire.ErrWebPage
	default:
		failed.err = fmt.Errorf("%w: %w", errNoToken, err)
	}
	return nil, failed
}

// first gets a token before anything is sent to the service, so that what fails then is not
// taken for a failure of the service. It tries as often as the service is tried.
func first(ctx context.Context, token func(context.Context) (string, error), pause time.Duration) error {
	for try := 1; ; try++ {
		_, err := token(ctx)
		var failed *oauthError
		if err == nil || try == tries || !errors.As(err, &failed) || !failed.Retryable() || failed.wait > time.Minute {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(max(failed.wait, cmp.Or(pause, time.Duration(try)*3*time.Second))): // 30 s in all
		}
	}
}
