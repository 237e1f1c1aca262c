package drs

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"mime"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/whiteglove/whiteglove/internal/wire"
)

// publicURL is the base of the public registration service.
const publicURL = "https://enterpriseregistration.windows.net"

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
	opRejoin       = "Rejoin"
	opHybrid       = "JoinHybrid"
	opLeave        = "Leave"
	opRealm        = "Realm"
	opCapabilities = "Capabilities"
	opSignIn       = "SignIn"
	opRenew        = "Renew"
	opAccess       = "AccessToken"
	opCookie       = "Cookie"
)

// maxAnswer limits every answer, in bytes.
const maxAnswer = 256 << 10

// userAgent is what the client calls itself.
const userAgent = "whiteglove"

// A Client talks to a registration service. Its zero value talks to the
// public one. It is safe for concurrent use.
type Client struct {
	BaseURL    string           // of the service; if empty, the public service, https://enterpriseregistration.windows.net
	HTTPClient *http.Client     // if nil, http.DefaultClient
	Now        func() time.Time // if nil, time.Now
	Logger     *slog.Logger     // if nil, nothing is logged

	// APIVersion is that of discovery; if empty, the newest known.
	APIVersion string

	// Trust, if set, says whether a service may be at a host, as an endpoint
	// names it. If nil, any host may be one that is reached by https.
	Trust func(host string) bool

	// MutualTLS makes the transport of Leave, which shows the device's
	// certificate. If nil, it is a copy of HTTPClient's transport, which must
	// be an [*http.Transport] then, with the TLS configuration put into it.
	MutualTLS func(*tls.Config) http.RoundTripper

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
		return publicURL
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
	if c.Trust != nil && !c.Trust(u.Host) {
		return fmt.Errorf("%w: host %q", ErrEndpoint, u.Host)
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
	accept string // if empty, JSON
	auth   string // Authorization header, or ""

	client *http.Client // if nil, the Client's
	status int          // an error status that is as good as success, or 0
}

// do makes a call and reads its JSON answer into out. Its errors are *Error.
func (c *Client) do(ctx context.Context, k *call, out any) error {
	answer, err := c.send(ctx, k)
	if err != nil {
		return err
	}
	return k.read(answer, out)
}

// read reads a JSON answer.
func (k *call) read(answer *wire.Answer, out any) error {
	err := checkType(answer.Header, "json")
	if err == nil {
		if err = json.Unmarshal(withoutMark(answer.Body), out); err == nil {
			return nil
		}
		err = fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	return k.failed(answer, err)
}

// failed returns an error about an answer.
func (k *call) failed(answer *wire.Answer, err error) error {
	return &Error{Op: k.op, URL: wire.Redact(k.url), HTTPStatus: answer.Status, RequestID: requestID(answer.Header), Err: err}
}

// send makes a call and returns its answer, whose status is no error. Its
// errors are *Error.
func (c *Client) send(ctx context.Context, k *call) (*wire.Answer, error) {
	fail := func(err error) (*wire.Answer, error) { return nil, &Error{Op: k.op, URL: wire.Redact(k.url), Err: err} }
	if err := c.checkEndpoint(k.url); err != nil {
		return fail(err)
	}
	req, err := http.NewRequestWithContext(ctx, k.method, k.url, bytes.NewReader(k.body))
	if err != nil {
		return fail(errors.New("cannot make a request of this URL"))
	}
	c.setHeader(req, k)
	client := k.client
	if client == nil {
		client = c.httpClient()
	}
	answer, err := wire.Do(client, req, maxAnswer)
	if err != nil {
		return fail(err)
	}
	if c.Logger != nil {
		c.Logger.DebugContext(ctx, "drs", "op", k.op, "url", wire.Redact(k.url), "status", answer.Status)
	}
	if (answer.Status < 200 || answer.Status > 299) && answer.Status != k.status {
		return nil, refusal(k.op, k.url, answer, c.now())
	}
	return answer, nil
}

// checkType checks that an answer does not say to be of another kind. Some
// services say nothing, or plain text.
func checkType(h http.Header, kinds ...string) error {
	v := h.Get("Content-Type")
	kind, _, err := mime.ParseMediaType(v)
	if v == "" || err == nil && (kind == "text/plain" || slices.ContainsFunc(kinds, func(k string) bool {
		return kind == "application/"+k || kind == "text/"+k || strings.HasSuffix(kind, "+"+k)
	})) {
		return nil
	}
	return fmt.Errorf("%w: content type %q", ErrMalformed, cut(v))
}

func (c *Client) setHeader(req *http.Request, k *call) {
	req.Header.Set("User-Agent", userAgent)
	for name, values := range c.Header {
		req.Header[http.CanonicalHeaderKey(name)] = values
	}
	req.Header.Set("Accept", or(k.accept, "application/json"))
	if k.kind != "" {
		req.Header.Set("Content-Type", k.kind)
	}
	if k.auth != "" {
		req.Header.Set("Authorization", k.auth)
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
