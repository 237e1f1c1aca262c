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
	res, err := secure(c).Do(own)
	if err != nil {
		return nil, failed(req.Method, req, own, start, err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(timelyReader(c, res.Body), limit+1))
	if err != nil {
		return nil, failed("read", req, own, start, err)
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
func failed(op string, req, own *http.Request, start time.Time, err error) error {
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
		err = &waited{time.Since(start), err}
	case ended != nil && !errors.Is(err, ended):
		err = fmt.Errorf("%w: %w", ended, err)
	case ended != nil:
	case isSlow(own, err):
		err = ErrSlow
	case errors.Is(err, context.DeadlineExceeded):
		err = os.ErrDeadlineExceeded
	}
	return &url.Error{Op: op, URL: Redact(at), Err: datedTLS(err)}
}

// A waited error is that of a request which the caller's deadline ended.
type waited struct {
	time time.Duration // since the request began
	err  error
}

// Error says how long there was no answer.
func (w *waited) Error() string {
	if w.time < time.Second {
		return "the time limit ended before the answer"
	}
	return "no answer for " + Span(w.time) + ", until the time limit ended"
}

// Unwrap returns the deadline's error and that of the request.
func (w *waited) Unwrap() []error { return []error{context.DeadlineExceeded, w.err} }

// Timeout reports that it is a timeout, as package net does.
func (w *waited) Timeout() bool { return true }

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
