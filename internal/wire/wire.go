package wire

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"
)

// MaxRedirects is how many redirects Do follows.
const MaxRedirects = 5

// Errors that the error of [Do] may wrap.
var (
	ErrTooLarge = errors.New("answer is too large")         // over the limit of Do
	ErrInsecure = errors.New("redirect from https to http") // the redirect is not followed
	ErrRedirect = errors.New("redirect is not followed")    // over MaxRedirects, or refused by CheckRedirect
)

// An Answer is an HTTP answer that was read to its end.
type Answer struct {
	// Authenticated tells whether TLS proved that the answer is the server's: the
	// server's certificate led to a root that the client trusts.
	Authenticated bool

	Status int
	Header http.Header
	Body   []byte
}

// Do sends req with c, or with [http.DefaultClient] if c is nil, and reads an
// answer of at most limit bytes. It follows redirects, at most [MaxRedirects] and
// not from https to http. An answer with any status is a success.
//
// If c has no Timeout, Do has limits of its own, so that no server can hold a
// caller whose context has no deadline: see [ErrSlow].
//
// The error is a [*url.Error] without the query of the URL, except that of a large
// answer. It wraps [ErrTooLarge], [ErrInsecure], [ErrRedirect], [ErrSlow], the
// error of the context of req if that ended first, or another network failure. If
// c itself timed out, it wraps [os.ErrDeadlineExceeded].
func Do(c *http.Client, req *http.Request, limit int64) (*Answer, error) {
	start := time.Now()
	own, cancel := bounded(c, req)
	defer cancel()
	var way progress
	res, err := secure(c).Do(way.watch(own))
	if err != nil {
		return nil, failed(req.Method, req, own, &way, start, refusedByProxy(c, req, &way, err))
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(way.answered(res, timelyReader(c, res.Body)), limit+1))
	if err != nil {
		return nil, failed("read", req, own, &way, start, err)
	}
	if isTLSPort(res, body) {
		return nil, failed(req.Method, req, own, &way, start, &url.Error{Op: req.Method, URL: res.Request.URL.String(), Err: errTLSPort})
	}
	if int64(len(body)) > limit {
		return nil, fmt.Errorf("%w: over %d bytes", ErrTooLarge, limit)
	}
	return &Answer{Authenticated: res.TLS != nil && len(res.TLS.VerifiedChains) > 0, Status: res.StatusCode, Header: res.Header, Body: body}, nil
}

// failed returns the error of a request, with the cause that counts: the error of req's
// context if that ended, ErrSlow if it was own's, which is req with the limit that bounded
// set, and os.ErrDeadlineExceeded for a timeout of the client or its transport. net/http may
// return context.DeadlineExceeded for all of them, or the context's cause. The query of a URL
// may be secret and is left out.
func failed(op string, req, own *http.Request, way *progress, start time.Time, err error) error {
	at := req.URL.String()
	if sent, ok := errors.AsType[*url.Error](err); ok {
		op, at, err = sent.Op, sent.URL, sent.Err
	}
	switch {
	case errors.Is(err, ErrRedirect), errors.Is(err, ErrInsecure):
		at = req.URL.String() // net/http names where the redirect leads to
	case Redact(at) != Redact(req.URL.String()):
		err = &redirected{err}
	}
	ended := req.Context().Err()
	switch {
	case ended == context.DeadlineExceeded:
		err = way.waited(start, ended, err)
	case ended != nil && !errors.Is(err, ended):
		err = fmt.Errorf("%w: %w", ended, err)
	case ended != nil:
	case isSlow(own, err):
		err = way.late(start, ErrSlow)
	case errors.Is(err, context.DeadlineExceeded):
		err = way.late(start, os.ErrDeadlineExceeded)
	case strings.HasSuffix(err.Error(), "TLS handshake timeout"): // the type is not exported
		err = way.waited(start, os.ErrDeadlineExceeded, err)
	case strings.Contains(err.Error(), `malformed HTTP response "\x15\x03`): // an alert of TLS
		err = errTLSPort
	}
	return &url.Error{Op: op, URL: Redact(at), Err: datedTLS(err)}
}

// Redact returns a URL without its query, fragment and user, for errors and logs.
// It returns "" if raw is not a URL.
func Redact(raw string) string {
	u, err := url.Parse(raw)
	if err != nil {
		return ""
	}
	u.RawQuery, u.Fragment, u.User, u.ForceQuery = "", "", nil, false
	u.Opaque = u.Opaque[strings.LastIndexByte(u.Opaque, '@')+1:]
	return u.String()
}

// RetryAfter returns the pause that a server asks for in the field Retry-After, in
// seconds or as a date (RFC 9110, section 10.2.3). It returns 0 if there is none.
func RetryAfter(h http.Header, now time.Time) time.Duration {
	v := h.Get("Retry-After")
	if n, err := strconv.ParseUint(v, 10, 31); err == nil {
		return time.Duration(n) * time.Second
	}
	if t, err := http.ParseTime(v); err == nil {
		return max(t.Sub(now), 0)
	}
	return 0
}
