package wire

import (
	"errors"
	"fmt"
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
)

// A progress says how far a request came. It is safe for concurrent use.
type progress struct{ n atomic.Int32 }

// watch returns req with a context by which p learns how far it comes.
func (p *progress) watch(req *http.Request) *http.Request {
	return req.WithContext(httptrace.WithClientTrace(req.Context(), &httptrace.ClientTrace{
		GetConn: func(string) { p.n.Store(reachedNothing) },
		ConnectDone: func(_, _ string, err error) {
			if err == nil {
				p.n.CompareAndSwap(reachedNothing, reachedAddress)
			}
		},
		GotConn: func(httptrace.GotConnInfo) { p.n.Store(reachedServer) },
	}))
}

// reached returns how far the request came.
func (p *progress) reached() int32 { return p.n.Load() }

// A waited error is that of a request which a time limit ended: the caller's deadline, or
// that of the client's transport for TLS.
type waited struct {
	time    time.Duration // since the request began
	reached int32
	limit   error // context.DeadlineExceeded or os.ErrDeadlineExceeded
	err     error // of the request
}

// Error says how long there was no answer.
func (w *waited) Error() string {
	switch {
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
func (w *waited) Unwrap() []error { return []error{w.limit, w.err} }

// Timeout reports that it is a timeout, as package net does.
func (w *waited) Timeout() bool { return true }

// remedy returns what to do about a host that does not answer.
func (w *waited) remedy(host string) string {
	switch {
	case w.time < time.Second:
		return "Allow more time (in the programs: -timeout)."
	case w.reached == reachedNothing:
		return fmt.Sprintf("Check the address, and that no firewall drops what goes to %s. If it is only slow, allow more time (in the programs: -timeout).", host)
	case w.reached == reachedAddress:
		return fmt.Sprintf("Check that the port is one of TLS, then look for a proxy or firewall that holds the connection. If neither helps, tell the operator of %s.", host)
	}
	return fmt.Sprintf("Allow more time (in the programs: -timeout). If that does not help, tell the operator of %s, or look for a proxy or firewall that holds the connection.", host)
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
