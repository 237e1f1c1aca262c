package trace

import (
	"bytes"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/whiteglove/whiteglove/internal/traffic"
	"github.com/whiteglove/whiteglove/internal/wire"
	"github.com/whiteglove/whiteglove/provision"
)

// maxTraced is how many bytes of a body are read and hashed. No client of this
// module reads more.
const maxTraced = 8 << 20

// maxWords is how many bytes of a server's words are kept, and maxEcho how many of
// a message are searched for what must not be kept.
const (
	maxWords = 2000
	maxEcho  = 256 << 10
)

// An httpDetail is what a trace keeps of an HTTP exchange besides its messages.
type httpDetail struct {
	Method, URL string
	Status      int
	StatusText  string
	Proto       string
	RetryAfter  string
}

// HTTP returns a copy of c whose requests t records; a nil c stands for
// [http.DefaultClient]. Set Provisioner.HTTPClient, or the HTTPClient of a single
// client, to it.
//
// The transport of the copy is not an [*http.Transport]. A run that shows a
// certificate of the device's in TLS therefore needs Provisioner.MutualTLS.
func (t *Trace) HTTP(c *http.Client) *http.Client {
	if c == nil {
		c = http.DefaultClient
	}
	own := *c
	inner := c.Transport
	if inner == nil {
		inner = http.DefaultTransport
	}
	own.Transport = &tracedHTTP{inner: inner, trace: t}
	return &own
}

// A tracedHTTP records HTTP exchanges in a trace.
type tracedHTTP struct {
	inner http.RoundTripper
	trace *Trace
}

// RoundTrip implements http.RoundTripper. It reads the first maxTraced bytes of
// the answer's body before it returns.
func (t *tracedHTTP) RoundTrip(req *http.Request) (*http.Response, error) {
	e := traceEntry{Kind: "HTTP", Begin: time.Now(), HTTP: &httpDetail{Method: req.Method, URL: operation(req.URL)}}
	e.Name, e.Why = req.Method+" "+e.HTTP.URL, traffic.Purpose(req.URL)
	var sent []byte
	if req.Body != nil {
		var err error
		if sent, err = io.ReadAll(io.LimitReader(req.Body, maxTraced)); err != nil {
			return nil, err
		}
		req = req.Clone(req.Context())
		req.Body = io.NopCloser(bytes.NewReader(sent))
		e.Sent = newMessage(sent, req.Header.Get("Content-Type"))
	}
	res, err := t.inner.RoundTrip(req)
	if err != nil {
		e.End, e.Failed, e.Result = time.Now(), true, err.Error()
		t.trace.add(provision.StepOf(req.Context()), e)
		return nil, err
	}
	body, err := io.ReadAll(io.LimitReader(res.Body, maxTraced))
	rest := res.Body
	res.Body = struct {
		io.Reader
		io.Closer
	}{io.MultiReader(bytes.NewReader(body), failing{rest, err}), rest}
	e.End = time.Now()
	e.HTTP.Status, e.HTTP.StatusText, e.HTTP.Proto = res.StatusCode, http.StatusText(res.StatusCode), res.Proto
	e.HTTP.RetryAfter = res.Header.Get("Retry-After")
	e.Result, e.Failed = strconv.Itoa(res.StatusCode), res.StatusCode >= 400
	e.Got = newMessage(body, res.Header.Get("Content-Type"))
	if e.Failed || isCapabilities(req.URL) {
		text := withoutEcho(words(body[:min(len(body), maxEcho)]), req, sent[:min(len(sent), maxEcho)])
		e.Got.Text = strings.ToValidUTF8(text[:min(len(text), maxWords)], "")
	}
	t.trace.add(provision.StepOf(req.Context()), e)
	return res, nil
}

// A failing reader is the end of a body: the error that ended the read before, or
// else the rest of the body.
type failing struct {
	io.Reader
	err error
}

// Read implements io.Reader.
func (f failing) Read(p []byte) (int, error) {
	if f.err != nil {
		return 0, f.err
	}
	return f.Reader.Read(p)
}

// operation returns a URL with only those query parameters that name an operation.
func operation(u *url.URL) string {
	kept := url.Values{}
	for _, name := range []string{"operation", "api-version"} {
		if v := u.Query().Get(name); v != "" {
			kept.Set(name, v)
		}
	}
	text := wire.Redact(u.String())
	if q := kept.Encode(); q != "" {
		text += "?" + q
	}
	return text
}

// isCapabilities reports whether a request asks for a CA's capabilities.
func isCapabilities(u *url.URL) bool { return u.Query().Get("operation") == "GetCACaps" }

// words returns a body as text on one line, or "" if it is not UTF-8.
func words(body []byte) string {
	if !utf8.Valid(body) {
		return ""
	}
	return strings.Join(strings.Fields(string(body)), " ")
}
