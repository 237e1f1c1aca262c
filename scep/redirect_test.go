package scep_test

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/whiteglove/whiteglove/internal/pkimsg"
	"github.com/whiteglove/whiteglove/scep"
)

// TestRedirects follows redirects on the server's own host, and none to another one,
// which would get the caller's headers.
func TestRedirects(t *testing.T) {
	var got http.Header
	target := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got = r.Header
		_, _ = io.WriteString(w, "AES\n")
	}))
	defer target.Close()
	u, err := url.Parse(target.URL)
	if err != nil {
		t.Fatal(err)
	}
	for host, want := range map[string]bool{"127.0.0.1": true, "localhost": false, "127.0.0.1.localhost": false} {
		for name, httpClient := range map[string]*http.Client{"no client": nil, "a client that follows": {CheckRedirect: func(*http.Request, []*http.Request) error { return nil }}} {
			got = nil
			c := start(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				http.Redirect(w, r, "http://"+host+":"+u.Port()+"/?"+r.URL.RawQuery, http.StatusFound)
			}), strangers(t))
			c.Header, c.HTTPClient = http.Header{"X-Secret": {"s3cret"}}, httpClient
			caps, err := c.GetCACaps(t.Context(), "")
			if want {
				if err != nil || !caps.Has("AES") || got.Get("X-Secret") != "s3cret" {
					t.Errorf("%s, %s: %q, %v, %v", host, name, caps, err, got)
				}
				continue
			}
			var e *scep.Error
			if !errors.As(err, &e) || e.Retryable() || got != nil {
				t.Errorf("%s, %s: %v, the other host got %v", host, name, err, got)
			}
		}
	}
	no := errors.New("not wanted")
	c := start(t, http.RedirectHandler(target.URL, http.StatusFound), strangers(t))
	c.HTTPClient = &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return no }}
	if _, err := c.GetCACaps(t.Context(), ""); !errors.Is(err, no) {
		t.Errorf("the client's own rule: %v", err)
	}
}

// TestWordsAreClean sends words that a terminal would obey.
func TestWordsAreClean(t *testing.T) {
	f := newForger(t)
	f.caps = "SCEPStandard"
	f.info = func(i *pkimsg.Info) {
		i.Status, i.FailInfo, i.FailText = pkimsg.Failure, 2, "no\x1b[2J\u202eway"
	}
	c := start(t, f, f.roots())
	_, err := c.Enroll(t.Context(), asked(t, c), &scep.Request{CSR: newCSR(t, testKey()), Signer: testKey()})
	if e := failed(t, err); e.Message != "no\ufffd[2J\ufffdway" || strings.ContainsAny(e.Error(), "\x1b\u202e") {
		t.Errorf("%q, %v", e.Message, e)
	}
}
