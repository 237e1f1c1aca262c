package wire_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/whiteglove/whiteglove/internal/wire"
)

func get(t *testing.T, c *http.Client, url string, limit int64) (*wire.Answer, error) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	return wire.Do(c, req, limit)
}

func TestDo(t *testing.T) {
	plain := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusTeapot)
		w.Write([]byte("12345678"))
	}))
	defer plain.Close()
	secure := httptest.NewTLSServer(http.RedirectHandler(plain.URL, http.StatusFound))
	defer secure.Close()

	a, err := get(t, nil, plain.URL, 8)
	if err != nil || a.Status != http.StatusTeapot || string(a.Body) != "12345678" {
		t.Fatalf("got %+v, %v", a, err)
	}
	if _, err := get(t, nil, plain.URL, 7); !errors.Is(err, wire.ErrTooLarge) {
		t.Errorf("8 bytes at a limit of 7: %v", err)
	}
	_, err = get(t, secure.Client(), secure.URL, 8)
	if !errors.Is(err, wire.ErrInsecure) || wire.HRESULT(err) != 0x80072F08 || wire.Retryable(err) {
		t.Errorf("https to http: %v, %#x", err, wire.HRESULT(err))
	}
	_, err = get(t, nil, secure.URL, 8)
	if wire.HRESULT(err) != 0x80072F8F || wire.Retryable(err) {
		t.Errorf("unknown root: %v, %#x", err, wire.HRESULT(err))
	}
	gone := plain.URL
	plain.Close()
	_, err = get(t, nil, gone+"/?code=secret", 8)
	if wire.HRESULT(err) != 0x80072EFD || !wire.Retryable(err) || strings.Contains(err.Error(), "secret") {
		t.Errorf("nobody listens: %v, %#x", err, wire.HRESULT(err))
	}
}

func TestDoEndsWithContext(t *testing.T) {
	hang := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { <-r.Context().Done() }))
	defer hang.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, hang.URL, nil)
	if err != nil {
		t.Fatal(err)
	}
	_, err = wire.Do(nil, req, 8)
	if !errors.Is(err, context.DeadlineExceeded) || wire.Retryable(err) || wire.HRESULT(err) != 0x80072EE2 {
		t.Errorf("got %v, %#x", err, wire.HRESULT(err))
	}
}

// The time-out of a client may pass by itself; a refused redirect may not.
func TestRetryable(t *testing.T) {
	stop := make(chan bool)
	var away string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/slow" {
			<-stop
			return
		}
		http.Redirect(w, r, away, http.StatusFound)
	}))
	defer server.Close()
	defer close(stop)
	away = server.URL + "/again"
	_, err := get(t, &http.Client{Timeout: 20 * time.Millisecond}, server.URL+"/slow", 8)
	if !wire.Retryable(err) || wire.HRESULT(err) != 0x80072EE2 {
		t.Errorf("time-out: %v", err)
	}
	if _, err := get(t, nil, server.URL, 8); err == nil || wire.Retryable(err) {
		t.Errorf("endless redirect: %v", err)
	}
}

// Only what is known to pass is retryable: a wrong address, a missing file or socket
// and a wrong name of a network are not.
func TestRetryableErrors(t *testing.T) {
	missing := &fs.PathError{Op: "open", Path: "x", Err: syscall.ENOENT}
	dial := func(network string, err error) error {
		return &net.OpError{Op: "dial", Net: network, Err: os.NewSyscallError("connect", err)}
	}
	for name, c := range map[string]struct {
		err  error
		want bool
	}{
		"nil":                   {nil, false},
		"plain":                 {errors.New("plain"), false},
		"ENOENT":                {syscall.ENOENT, false},
		"ENOTDIR":               {&fs.PathError{Op: "stat", Path: "x/y", Err: syscall.ENOTDIR}, false},
		"EACCES":                {&fs.PathError{Op: "open", Path: "x", Err: syscall.EACCES}, false},
		"no file in a request":  {&url.Error{Op: "Get", URL: "https://a.test/", Err: missing}, false},
		"unsupported scheme":    {&url.Error{Op: "Get", URL: "ftp://a.test/", Err: errors.New("unsupported protocol scheme")}, false},
		"no scheme":             {&url.Error{Op: "Get", URL: "a.test/", Err: errors.New("unsupported protocol scheme")}, false},
		"no URL":                {&url.Error{Op: "parse", URL: "https://a.test/", Err: errors.New("no")}, false},
		"unknown network":       {&net.OpError{Op: "dial", Net: "odd", Err: net.UnknownNetworkError("odd")}, false},
		"wrong address":         {&net.OpError{Op: "dial", Net: "tcp", Err: &net.AddrError{Err: "missing port", Addr: "a"}}, false},
		"no socket":             {dial("unix", syscall.ENOENT), false},
		"no permission":         {dial("tcp", syscall.EACCES), false},
		"refused":               {dial("tcp", syscall.ECONNREFUSED), true},
		"refused in a request":  {&url.Error{Op: "Get", URL: "https://a.test/", Err: dial("tcp", syscall.ECONNREFUSED)}, true},
		"refused unix socket":   {dial("unix", syscall.ECONNREFUSED), false},
		"no route":              {dial("tcp", syscall.EHOSTUNREACH), true},
		"no network":            {dial("tcp", syscall.ENETUNREACH), true},
		"reset":                 {syscall.ECONNRESET, true},
		"reset on Windows":      {os.NewSyscallError("wsarecv", syscall.Errno(10054)), true},
		"aborted on Windows":    {os.NewSyscallError("wsasend", syscall.Errno(10053)), true},
		"no such host":          {&net.DNSError{Err: "no such host", Name: "a.test", IsNotFound: true}, false},
		"DNS does not answer":   {&net.DNSError{Err: "i/o timeout", Name: "a.test", IsTimeout: true}, true},
		"end":                   {io.EOF, true},
		"end within":            {fmt.Errorf("x: %w", io.ErrUnexpectedEOF), true},
		"time-out":              {&url.Error{Op: "Get", URL: "https://a.test/", Err: os.ErrDeadlineExceeded}, true},
		"malformed":             {&url.Error{Op: "Get", URL: "https://a.test/", Err: errors.New("malformed HTTP response")}, true},
		"the caller's deadline": {&url.Error{Op: "Get", URL: "https://a.test/", Err: context.DeadlineExceeded}, false},
		"canceled":              {&url.Error{Op: "Get", URL: "https://a.test/", Err: context.Canceled}, false},
	} {
		if got := wire.Retryable(c.err); got != c.want {
			t.Errorf("%s: %t", name, got)
		}
	}
}

func TestRetryAfter(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for v, want := range map[string]time.Duration{
		"":                              0,
		"-3":                            0,
		"soon":                          0,
		"300":                           5 * time.Minute,
		"Fri, 02 Jan 2026 03:04:35 GMT": 30 * time.Second,
		"Fri, 02 Jan 2026 03:04:00 GMT": 0,
	} {
		if got := wire.RetryAfter(http.Header{"Retry-After": {v}}, now); got != want {
			t.Errorf("%q: %v, want %v", v, got, want)
		}
	}
}

func TestRedact(t *testing.T) {
	for in, want := range map[string]string{
		"https://u:p@h/a?b=c#d": "https://h/a",
		"https://h/a":           "https://h/a",
		"://":                   "",
	} {
		if got := wire.Redact(in); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}

// A request that its caller stops ends with the context's error, whatever cause the caller
// has: while it connects, while it waits, and while it reads.
func TestStoppedWithCause(t *testing.T) {
	cause := errors.New("the operator went home")
	for name, stopAt := range map[string]string{"connecting": "dial", "waiting": "wait", "reading": "read"} {
		ctx, stop := context.WithCancelCause(t.Context())
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if stopAt == "read" {
				w.Write([]byte("a"))
				w.(http.Flusher).Flush()
			}
			if stopAt == "wait" {
				stop(cause)
			}
			<-r.Context().Done()
		}))
		client := server.Client()
		if stopAt == "dial" {
			client.Transport = &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
				stop(cause)
				<-ctx.Done()
				return nil, ctx.Err()
			}}
		}
		if stopAt == "read" {
			next := client.Transport
			client.Transport = roundTripper(func(req *http.Request) (*http.Response, error) {
				res, err := next.RoundTrip(req)
				stop(cause)
				return res, err
			})
		}
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, server.URL+"?secret", nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := wire.Do(client, req, 10); !errors.Is(err, context.Canceled) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: %v", name, err)
		}
		server.Close()
	}
}

// A roundTripper is a function that sends requests.
type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }
