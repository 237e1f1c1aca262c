package wire

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"strings"
	"sync/atomic"
	"time"
)

// How far a request came.
const (
	reachedNothing int32 = iota // no connection
	reachedAddress              // something took the connection
	reachedServer               // it is ready for the request; TLS has begun if the URL is https
	reachedAnswer               // the header of the answer has come
)

// A progress says how far a request came. Goroutines of the transport write the first two
// fields; the others are of the goroutine that reads the answer.
type progress struct {
	n         atomic.Int32
	tls       atomic.Int32 // TLS handshakes that began for the connection
	got, size int64        // bytes of the answer's body; a size of -1 is not known
}

// watch returns req with a context by which p learns how far it comes.
func (p *progress) watch(req *http.Request) *http.Request {
	return req.WithContext(httptrace.WithClientTrace(req.Context(), &httptrace.ClientTrace{
		GetConn: func(string) {
			p.n.Store(reachedNothing)
			p.tls.Store(0)
		},
		ConnectDone: func(_, _ string, err error) {
			if err == nil {
				p.n.CompareAndSwap(reachedNothing, reachedAddress)
			}
		},
		TLSHandshakeStart: func() { p.tls.Add(1) },

		GotConn: func(httptrace.GotConnInfo) { p.n.Store(reachedServer) },
	}))
}

// answered notes that the header of an answer has come, and returns a reader of its body
// that counts.
func (p *progress) answered(res *http.Response, body io.Reader) io.Reader {
	p.n.Store(reachedAnswer)
	p.size = res.ContentLength
	return io.TeeReader(body, p)
}

// Write counts what was read.
func (p *progress) Write(b []byte) (int, error) {
	p.got += int64(len(b))
	return len(b), nil
}

// waited returns the error of a request that a limit ended.
func (p *progress) waited(start time.Time, limit, err error) *waited {
	w := &waited{time: time.Since(start), reached: p.n.Load(), limit: limit, err: err}
	if w.reached == reachedAnswer {
		w.part = fmt.Sprintf("%d bytes", p.got)
		if p.size >= 0 {
			w.part = fmt.Sprintf("%d of %d bytes", p.got, p.size)
		}
	}
	return w
}

// late returns the error of a request that another limit than the caller's ended.
func (p *progress) late(start time.Time, limit error) error {
	if p.n.Load() == reachedAnswer {
		return p.waited(start, limit, nil)
	}
	return limit
}

// A waited error is that of a request which a time limit ended: the caller's deadline, or
// another.
type waited struct {
	time    time.Duration // since the request began
	reached int32
	part    string // how much of the answer has come, if it began
	limit   error  // context.DeadlineExceeded if it is the caller's
	err     error  // of the request; may be nil
}

// Error says how long there was no answer.
func (w *waited) Error() string {
	switch {
	case w.reached == reachedAnswer && w.time < time.Second:
		return fmt.Sprintf("the answer began, but was not complete when the time limit ended (%s)", w.part)
	case w.reached == reachedAnswer:
		return fmt.Sprintf("the answer began, but was not complete after %s (%s)", Span(w.time), w.part)
	case w.time < time.Second:
		return "the time limit ended before the answer"
	case w.reached == reachedAddress:
		return "connected, but no TLS answer for " + Span(w.time)
	case w.reached == reachedServer:
		return "connected, but no answer for " + Span(w.time)
	}
	return "no connection for " + Span(w.time)
}

// Unwrap returns the error of the time limit and that of the request.
func (w *waited) Unwrap() []error {
	if w.err == nil {
		return []error{w.limit}
	}
	return []error{w.limit, w.err}
}

// Timeout reports that it is a timeout, as package net does.
func (w *waited) Timeout() bool { return true }

// remedy returns what to do about a host that does not answer.
func (w *waited) remedy(host string) string {
	more, cure := "Run again.", "run again later."
	if w.limit == context.DeadlineExceeded {
		more, cure = "Allow more time (in the programs: -timeout).", "allow more time (in the programs: -timeout)."
	}
	switch {
	case w.reached == reachedAnswer:
		return fmt.Sprintf("%s If that does not help, tell the operator of %s, or look for a proxy or firewall that slows the connection.", more, host)
	case w.time < time.Second:
		return more
	case w.reached == reachedNothing:
		return fmt.Sprintf("Check the address, and that no firewall drops what goes to %s. If it is only slow, %s", host, cure)
	case w.reached == reachedAddress:
		return fmt.Sprintf("Check that the port is one of TLS, then look for a proxy or firewall that holds the connection. If neither helps, tell the operator of %s.", host)
	}
	return fmt.Sprintf("%s If that does not help, tell the operator of %s, or look for a proxy or firewall that holds the connection.", more, host)
}

// WaitedSince returns err, the error of a request that a time limit ended, as if the request
// had begun at an earlier time.
func WaitedSince(start time.Time, err error) error {
	var w *waited
	if errors.As(err, &w) {
		w.time = time.Since(start)
	}
	return err
}

// OwnLimit returns err, the error of a request that the deadline of its context ended, with
// another limit in place of [context.DeadlineExceeded]: one that is not the caller's.
func OwnLimit(limit, err error) error {
	var w *waited
	if !errors.As(err, &w) {
		return limit
	}
	w.limit, w.err = limit, nil
	return err
}

// IsWaited reports whether err is that of a request which a time limit ended, so that
// [Remedy] tells what to do about it.
func IsWaited(err error) bool { return errors.As(err, new(*waited)) }

// errTLSPort means that a request without TLS went to a port that speaks TLS.
var errTLSPort = errors.New("the server speaks TLS at this port, and the URL is http")

// tlsPortWords are in the answers of common servers to a request without TLS.
var tlsPortWords = []string{"http request to an https server", "http request was sent to https port", "plain http to an ssl-enabled server port"}

// isTLSPort reports whether an answer says that the port speaks TLS.
func isTLSPort(res *http.Response, body []byte) bool {
	if res.Request == nil || res.Request.URL.Scheme != "http" || res.StatusCode != http.StatusBadRequest || len(body) > 4096 {
		return false
	}
	text := strings.ToLower(string(body))
	for _, words := range tlsPortWords {
		if strings.Contains(text, words) {
			return true
		}
	}
	return false
}
