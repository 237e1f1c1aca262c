package ekcert

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/whiteglove/whiteglove/internal/wire"
)

type transport func(*http.Request) (*http.Response, error)

func (f transport) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// Only http and https URLs with a host are fetched.
func TestGetOnlyHTTP(t *testing.T) {
	client := &http.Client{Transport: transport(func(r *http.Request) (*http.Response, error) {
		t.Errorf("%s is fetched", r.URL)
		return nil, errors.ErrUnsupported
	})}
	for _, address := range []string{"", "ftp://ca.example/x", "https:///x", "http:x", "//ca.example/x", "http://[::1", "https://ca.example/%zz"} {
		if _, err := get(t.Context(), client, address, 1); err == nil || err.Error() != "not an http or https URL" {
			t.Errorf("%q: %v", address, err)
		}
	}
}

// A server that takes longer than fetchTime is slow. The end of the caller's context,
// and any other failure, is not.
func TestGetSlow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		waits := &http.Client{Transport: transport(func(r *http.Request) (*http.Response, error) {
			<-r.Context().Done()
			return nil, r.Context().Err()
		})}
		fails := &http.Client{Transport: transport(func(*http.Request) (*http.Response, error) { return nil, errors.ErrUnsupported })}
		late := &http.Client{Transport: transport(func(*http.Request) (*http.Response, error) {
			time.Sleep(2 * fetchTime)
			return httptest.NewRecorder().Result(), nil
		})}
		short, cancel := context.WithTimeout(t.Context(), fetchTime/2)
		defer cancel()
		for name, tt := range map[string]struct {
			ctx    context.Context
			client *http.Client
			want   error
			slow   bool
		}{
			"slow":            {t.Context(), waits, errSlow, true},
			"caller's end":    {short, waits, context.DeadlineExceeded, false},
			"another failure": {t.Context(), fails, errors.ErrUnsupported, false},
		} {
			if _, err := get(tt.ctx, tt.client, "http://ca.example/x", 1); !errors.Is(err, tt.want) || errors.Is(err, errSlow) != tt.slow || tt.slow && (errors.Is(err, context.DeadlineExceeded) || !strings.HasPrefix(wire.Remedy(err), "Check the address, and")) {
				t.Errorf("%s: %v", name, err)
			}
		}
		// An answer that is there is taken, also when the time has just ended.
		if _, err := get(t.Context(), late, "http://ca.example/x", 1); err != nil {
			t.Errorf("late: %v", err)
		}
	})
}

// The caller's own rule for redirects is asked, too.
func TestCallersRedirects(t *testing.T) {
	server := httptest.NewServer(http.RedirectHandler("/other", http.StatusFound))
	defer server.Close()
	asked := 0
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error {
		asked++
		return http.ErrUseLastResponse
	}}
	answer, err := get(t.Context(), client, server.URL, 100)
	if err != nil || answer.Status != http.StatusFound || asked != 1 {
		t.Errorf("%+v, %v, asked %d times", answer, err, asked)
	}
	if _, err := get(t.Context(), new(http.Client), server.URL, 100); err == nil {
		t.Error("redirects without end")
	}
}
