package drs

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/whiteglove/whiteglove/internal/wire"
)

// PublicURL is the base of the public registration service.
const PublicURL = "https://enterpriseregistration.windows.net"

// DefaultResource is the resource that stands for the public registration
// service in tokens.
const DefaultResource = "urn:ms-drs:enterpriseregistration.windows.net"

// BrokerClient is the client identifier with which Windows registers devices.
const BrokerClient = "29d9ed98-a469-4536-ade2-f981bc1d605e"

// What an Error's Op is.
const (
	opDiscover     = "Discover"
	opNonce        = "Nonce"
	opAuthenticate = "Authenticate"
	opJoin         = "Join"
)

// maxAnswer limits every answer, in bytes.
const maxAnswer = 256 << 10

// userAgent is what the client calls itself.
const userAgent = "whiteglove"

// A Client talks to a registration service. Its zero value talks to the
// public one. It is safe for concurrent use.
type Client struct {
	BaseURL    string           // of the service; if empty, PublicURL
	HTTPClient *http.Client     // if nil, http.DefaultClient
	Now        func() time.Time // if nil, time.Now
	Logger     *slog.Logger     // if nil, nothing is logged

	// Header is sent along with each request, for servers that insist on a
	// User-Agent or an ocp-adrs-client-name.
	Header http.Header
}

func (c *Client) now() time.Time {
	if c.Now != nil {
		return c.Now()
	}
	return time.Now()
}

func (c *Client) base() string {
	if c.BaseURL == "" {
		return PublicURL
	}
	return strings.TrimSuffix(c.BaseURL, "/")
}

// checkEndpoint reports whether raw may be talked to: by https, or by http to
// the very host of BaseURL if that is on the loopback interface.
func (c *Client) checkEndpoint(raw string) error {
	u, err := url.Parse(raw)
	if err != nil || u.Host == "" || u.User != nil || len(raw) >= maxText {
		return fmt.Errorf("%w: %q is no URL of a service", ErrEndpoint, wire.Redact(raw))
	}
	if u.Scheme == "https" {
		return nil
	}
	base, err := url.Parse(c.base())
	if err == nil && u.Scheme == "http" && base.Scheme == "http" && u.Host == base.Host && isLoopback(u.Hostname()) {
		return nil
	}
	return fmt.Errorf("%w: %s is not https", ErrEndpoint, wire.Redact(raw))
}

func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return strings.EqualFold(host, "localhost") || ip != nil && ip.IsLoopback()
}

// httpClient returns the client's HTTP client, made to stay on one host: a
// redirect could carry a token elsewhere.
func (c *Client) httpClient() *http.Client {
	base := c.HTTPClient
	if base == nil {
		base = http.DefaultClient
	}
	own := *base
	own.CheckRedirect = func(req *http.Request, via []*http.Request) error {
		if req.URL.Host != via[0].URL.Host {
			return fmt.Errorf("%w: redirect to %s", ErrEndpoint, req.URL.Host)
		}
		if base.CheckRedirect != nil {
			return base.CheckRedirect(req, via)
		}
		return nil
	}
	return &own
}

// A call is one request to a service.
type call struct {
	op     string
	method string
	url    string
	kind   string // content type of body
	body   []byte
	bearer Token
}

// do makes a call and reads its JSON answer into out. Its errors are *Error.
func (c *Client) do(ctx context.Context, k *call, out any) error {
	fail := func(err error) error { return &Error{Op: k.op, URL: wire.Redact(k.url), Err: err} }
	if err := c.checkEndpoint(k.url); err != nil {
		return fail(err)
	}
	req, err := http.NewRequestWithContext(ctx, k.method, k.url, bytes.NewReader(k.body))
	if err != nil {
		return fail(errors.New("cannot make a request of this URL"))
	}
	c.setHeader(req, k)
	answer, err := wire.Do(c.httpClient(), req, maxAnswer)
	if err != nil {
		return fail(err)
	}
	if c.Logger != nil {
		c.Logger.DebugContext(ctx, "drs", "op", k.op, "url", wire.Redact(k.url), "status", answer.Status)
	}
	if answer.Status < 200 || answer.Status > 299 {
		return refusal(k.op, k.url, answer, c.now())
	}
	if err := json.Unmarshal(withoutMark(answer.Body), out); err != nil {
		return &Error{Op: k.op, URL: wire.Redact(k.url), HTTPStatus: answer.Status, RequestID: requestID(answer.Header), Err: fmt.Errorf("%w: %w", ErrMalformed, err)}
	}
	return nil
}

func (c *Client) setHeader(req *http.Request, k *call) {
	req.Header.Set("User-Agent", userAgent)
	for name, values := range c.Header {
		req.Header[http.CanonicalHeaderKey(name)] = values
	}
	req.Header.Set("Accept", "application/json")
	if k.kind != "" {
		req.Header.Set("Content-Type", k.kind)
	}
	if k.bearer != "" {
		req.Header.Set("Authorization", "Bearer "+string(k.bearer))
	}
}

// withVersion returns an endpoint with its API version.
func withVersion(endpoint, version string) string {
	u, err := url.Parse(endpoint)
	if err != nil {
		return endpoint
	}
	q := u.Query()
	q.Set("api-version", version)
	u.RawQuery = q.Encode()
	return u.String()
}
