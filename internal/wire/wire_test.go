package wire_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
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
