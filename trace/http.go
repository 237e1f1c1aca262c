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

	"github.com/whiteglove/whiteglove/internal/wire"
	"github.com/whiteglove/whiteglove/provision"
)

// maxTraced is how much of a body is read to be hashed; no client of this
// module reads more.
const maxTraced = 8 << 20

// maxWords bounds the words of a server that are kept, in bytes.
const maxWords = 2000

// An httpDetail is what is kept of an exchange beside its messages.
type httpDetail struct {
	Method, URL string
	Status      int
	StatusText  string
	Proto       string
	RetryAfter  string
}

// HTTP returns a copy of c (nil: [http.DefaultClient]) whose exchanges are kept.
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

// tracedHTTP keeps exchanges in a trace.
type tracedHTTP struct {
	inner http.RoundTripper
	trace *Trace
}

// RoundTrip implements http.RoundTripper. The answer's body is read before it
// returns, up to the limit that all clients of this module stay under.
func (t *tracedHTTP) RoundTrip(req *http.Request) (*http.Response, error) {
	e := traceEntry{Kind: "HTTP", Begin: time.Now(), HTTP: &httpDetail{Method: req.Method, URL: operation(req.URL)}}
	e.Name, e.Why = req.Method+" "+e.HTTP.URL, purpose(req.URL)
	if req.Body != nil {
		body, err := io.ReadAll(io.LimitReader(req.Body, maxTraced))
		if err != nil {
			return nil, err
		}
		req = req.Clone(req.Context())
		req.Body = io.NopCloser(bytes.NewReader(body))
		e.Sent = newMessage(body, req.Header.Get("Content-Type"))
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
		e.Got.Text = words(body)
	}
	t.trace.add(provision.StepOf(req.Context()), e)
	return res, nil
}

// failing is the end of a body: the error that reading it met, or its rest.
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

// operation returns a URL with that of its query which names an operation.
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

func isCapabilities(u *url.URL) bool { return u.Query().Get("operation") == "GetCACaps" }

// words returns a body as text on one line, or "" if it is none.
func words(body []byte) string {
	if !utf8.Valid(body) {
		return ""
	}
	text := strings.Join(strings.Fields(string(body)), " ")
	return text[:min(len(text), maxWords)]
}

// purposes say what a request is for, by a part of its URL.
var purposes = []struct{ part, why string }{
	{"operation=GetCACaps", "what the CA can do: digest, cipher and verb follow from it"},
	{"operation=GetCACert", "the CA's certificates, checked before anything is sent"},
	{"operation=PKIOperation", "a signed and encrypted SCEP message"},
	{"/Discover?", "where the tenant's services are"},
	{"/tpmchallenge/", "ask for a secret that only this TPM can open"},
	{"/oauth2/token", "a nonce, or a proof traded for a token"},
	{"/EnrollmentServer/device", "the join: both keys, certified by the attestation key"},
	{"/Discovery.svc", "where the management server enrolls devices"},
	{"/Policy.svc", "what the management certificate must be like"},
	{"/nonce/", "a nonce, against replay"},
	{"/.well-known/", "what the directory can do"},
	{"/ManagementServer/", "a message of a management session"},
	{"/Enrollment.svc", "the certificate request, for a certificate and an account"},
}

// purpose returns what a request is for, or "".
func purpose(u *url.URL) string {
	text := u.String()
	for _, p := range purposes {
		if strings.Contains(text, p.part) {
			return p.why
		}
	}
	return ""
}
