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

// publicURL is the base URL of the public registration service.
const publicURL = "https://enterpriseregistration.windows.net"

// DefaultResource is the resource of the public registration service, for which a
// token must be requested to join a device.
const DefaultResource = "urn:ms-drs:enterpriseregistration.windows.net"

// The values of Error.Op.
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

// maxAnswer is the largest answer that is accepted, in bytes.
const maxAnswer = 256 << 10

// userAgent is the User-Agent unless Client.Header has another.
const userAgent = "whiteglove"

// A Client talks to a registration service and to the token service of its tenants.
// Its zero value talks to the public one. It keeps nothing between calls; several
// goroutines may use it at the same time.
type Client struct {
	// BaseURL is the URL of the registration service. If empty, it is the
	// public service, https://enterpriseregistration.windows.net.
	BaseURL string

	HTTPClient *http.Client     // if nil, http.DefaultClient; its Timeout, if not 0, replaces the limits of the package
	Now        func() time.Time // current time; if nil, time.Now
	Logger     *slog.Logger     // if nil, nothing is logged; it never gets secrets

	// APIVersion is the API version of discovery. If empty, it is 1.9 for
	// Discover and 1.2 for Contract.
	APIVersion string

	// Trust, if set, reports whether a service may be at a host. It is called
	// for each endpoint, with the host and, if the URL has one, the port. If
	// nil, every host is accepted that is reached by https.
	Trust func(host string) bool

	// MutualTLS, if set, returns the transport of Leave, with the given TLS
	// configuration, which shows the device's certificate. If nil, the
	// transport is a copy of HTTPClient's, which must then be an
	// [*http.Transport] or nil.
	MutualTLS func(*tls.Config) http.RoundTripper

	// PlainReplies makes Renew and AccessToken accept replies that are not
	// encrypted with the session key. Some servers send such replies.
	PlainReplies bool

	// Header is sent with each request. It may replace the User-Agent and the fields
	// of Discover, and add fields that some servers require. It may be nil.
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

// checkEndpoint checks that requests may be sent to a URL. It must be https at a trusted
// host; or http at the host and port of BaseURL, if that is http and a loopback host.
func (c *Client) checkEndpoint(raw string) error {
	u, err := url.Parse(raw)
	if err != nil || u.Host == "" || u.User != nil || len(raw) >= maxText || wire.Visible(raw) != raw || strings.ContainsAny(raw, " \uFFFD") {
		return fmt.Errorf("%w: %q is not the URL of a service", ErrEndpoint, wire.Redact(raw))
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

// isLoopback reports whether a host is on the loopback interface.
func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return strings.EqualFold(host, "localhost") || ip != nil && ip.IsLoopback()
}

// httpClient returns a copy of the HTTP client that does not follow redirects to another
// host, because they could send a token there.
func (c *Client) httpClient() *http.Client {
	base := c.HTTPClient
	if base == nil {
		base = http.DefaultClient
	}
	own := *base
	own.CheckRedirect = func(req *http.Request, via []*http.Request) error {
		if req.URL.Host != via[0].URL.Host {
			return fmt.Errorf("%w: redirect to %q", ErrEndpoint, req.URL.Host)
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
	accept string // Accept header; if empty, JSON
	auth   string // Authorization header, or ""

	client *http.Client // if nil, that of the Client
	status int          // an error status that is treated as success, or 0

	header map[string]string // further header fields, which Client.Header may replace
}

// do makes a call and reads its JSON answer into out. Its errors are *Error.
func (c *Client) do(ctx context.Context, k *call, out any) error {
	answer, err := c.send(ctx, k)
	if err != nil {
		return err
	}
	return k.read(answer, out)
}

// read reads a JSON answer into out.
func (k *call) read(answer *wire.Answer, out any) error {
	err := checkType(answer, "json")
	if err == nil {
		if err = json.Unmarshal(withoutMark(answer.Body), out); err == nil {
			return nil
		}
		err = fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	return k.failed(answer, err)
}

// failed returns the Error of an answer with the cause err.
func (k *call) failed(answer *wire.Answer, err error) error {
	e := &Error{Op: k.op, URL: wire.Redact(k.url), HTTPStatus: answer.Status, RequestID: requestID(answer.Header), Err: err}
	if errors.Is(err, wire.ErrWebPage) {
		e.Message = wire.Page(answer.Body)
	}
	return e
}

// send makes a call and returns its answer if its status is a success. Its errors are
// *Error.
func (c *Client) send(ctx context.Context, k *call) (*wire.Answer, error) {
	fail := func(err error) (*wire.Answer, error) { return nil, &Error{Op: k.op, URL: wire.Redact(k.url), Err: err} }
	if err := c.checkEndpoint(k.url); err != nil {
		return fail(err)
	}
	req, err := http.NewRequestWithContext(ctx, k.method, k.url, bytes.NewReader(k.body))
	if err != nil {
		return fail(errors.New("the URL cannot be used in a request"))
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

// checkType checks that the content type of an answer is one of kinds, such as "json".
// It accepts none and plain text too, because some services send these, unless it is a web
// page.
func checkType(answer *wire.Answer, kinds ...string) error {
	if wire.IsHTML(answer.Body) {
		return fmt.Errorf("%w: %w", ErrMalformed, wire.ErrWebPage)
	}
	v := answer.Header.Get("Content-Type")
	kind, _, err := mime.ParseMediaType(v)
	if v == "" || err == nil && (kind == "text/plain" || slices.ContainsFunc(kinds, func(k string) bool {
		return kind == "application/"+k || kind == "text/"+k || strings.HasSuffix(kind, "+"+k)
	})) {
		return nil
	}
	return fmt.Errorf("%w: content type %q", ErrMalformed, cut(v))
}

// setHeader sets the header fields of a request.
func (c *Client) setHeader(req *http.Request, k *call) {
	req.Header.Set("User-Agent", userAgent)
	for name, value := range k.header {
		req.Header.Set(name, value)
	}
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
