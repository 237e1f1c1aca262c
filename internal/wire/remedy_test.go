package wire_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/whiteglove/whiteglove/internal/errtext"
	"github.com/whiteglove/whiteglove/internal/wire"
)

// Failures of real connections: the text and the remedy follow the cause.
func TestRemedy(t *testing.T) {
	hang := func(w http.ResponseWriter, r *http.Request) { <-r.Context().Done() }
	cut := func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }
	secure := httptest.NewTLSServer(http.NotFoundHandler())
	defer secure.Close()
	plainServer := httptest.NewServer(http.HandlerFunc(hang))
	defer plainServer.Close()
	cutServer := httptest.NewServer(http.HandlerFunc(cut))
	defer cutServer.Close()
	two := httptest.NewUnstartedServer(http.HandlerFunc(cut))
	two.EnableHTTP2 = true
	two.StartTLS()
	defer two.Close()
	elsewhere := httptest.NewServer(http.RedirectHandler("http://elsewhere.test/", http.StatusFound))
	defer elsewhere.Close()
	closed := httptest.NewServer(http.NotFoundHandler())
	closed.Close()
	moved := httptest.NewServer(http.RedirectHandler(closed.URL+"/there", http.StatusFound))
	defer moved.Close()
	loop := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/", http.StatusFound) }))
	defer loop.Close()
	to := func(address string) *http.Client {
		return &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "tcp", address)
		}, TLSClientConfig: secure.Client().Transport.(*http.Transport).TLSClientConfig.Clone()}}
	}
	fails := func(err error) *http.Client {
		return &http.Client{Transport: roundTripper(func(*http.Request) (*http.Response, error) { return nil, err })}
	}
	proxy, err := url.Parse(closed.URL)
	if err != nil {
		t.Fatal(err)
	}
	host := strings.TrimPrefix
	for name, c := range map[string]struct {
		client *http.Client
		url    string
		text   string // in the error
		remedy string
	}{
		"unknown root": {nil, secure.URL, `the server's certificate "O=Acme Co", which issued itself, is no trusted root`, `Trust the root of ` + host(secure.URL, "https://") + ` (in the programs: -roots FILE). If "O=Acme Co" is your proxy`},
		"wrong name":   {to(secure.Listener.Addr().String()), "https://mdm.test/", `for "example.com", "*.example.com", "127.0.0.1", "::1", not for "mdm.test"`, "Check the address: the certificate is for"},
		"no TLS":       {nil, "https://" + host(plainServer.URL, "http://"), "the server does not speak TLS at this port", "or write http:// in its URL if that is meant"},
		"refused":      {nil, closed.URL, "nothing listens at " + host(closed.URL, "http://") + ": connection refused", "Check the address and the port, and that the service runs."},
		"proxy":        {&http.Client{Transport: &http.Transport{Proxy: http.ProxyURL(proxy)}}, secure.URL, "the proxy is not reached: nothing listens at", "Check the address of the proxy"},
		"no host": {
			fails(&net.OpError{Op: "dial", Net: "tcp", Err: &net.DNSError{Err: "no such host", Name: "nosuch.test", IsNotFound: true}}), "https://nosuch.test/", `no such host: "nosuch.test"`,
			`Check the spelling of "nosuch.test", then this device's DNS.`,
		},
		"no DNS":      {fails(&net.DNSError{Err: "i/o timeout", Name: "a.test", IsTimeout: true}), "https://a.test/", "no DNS server answers", "its DNS server"},
		"no network":  {fails(&net.OpError{Op: "dial", Net: "tcp", Err: syscall.ENETUNREACH}), "https://a.test/", "this device has no way to", "Check this device's network: it has no way to a.test."},
		"cut":         {nil, cutServer.URL, "the connection was cut before the answer", "cut the connection"},
		"HTTP/2":      {two.Client(), two.URL, "the connection was cut before the answer (HTTP/2 INTERNAL_ERROR)", "cut the connection"},
		"slow":        {&http.Client{Timeout: 20 * time.Millisecond}, plainServer.URL, "no answer in time", "Check that no firewall drops what goes to"},
		"loop":        {nil, loop.URL, "redirect is not followed: more than 5, the last to ", "The redirects go in a circle, or are too many: tell the operator of " + host(loop.URL, "http://")},
		"moved":       {nil, moved.URL, "nothing listens at", "Check the address and the port"},
		"no redirect": {&http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return errors.New("not there") }}, elsewhere.URL, "redirect is not followed: not there", "If it is a portal's or a proxy's, sign in there"},
	} {
		_, err := get(t, c.client, c.url, 1000)
		if err == nil {
			t.Errorf("%s: no error", name)
			continue
		}
		text, remedy := wire.Cause(err, c.url), wire.Remedy(err)
		if !strings.Contains(text, c.text) || !strings.Contains(remedy, c.remedy) || strings.Contains(text, c.url+`"`) {
			t.Errorf("%s: %s. %s", name, text, remedy)
		}
		if name == "moved" && !strings.HasPrefix(text, "redirected to "+closed.URL+"/there: nothing") {
			t.Errorf("%s: %s", name, text)
		}
		for _, fault := range errtext.Faults(text + ". " + remedy) {
			if !strings.Contains(fault, "the URL") {
				t.Errorf("%s: %s: %s. %s", name, fault, text, remedy)
			}
		}
		if name == "HTTP/2" && wire.HRESULT(err) != 0x80072EFF {
			t.Errorf("%s: %#x", name, wire.HRESULT(err))
		}
	}
	if wire.Remedy(nil) != "" || wire.Remedy(errors.New("x")) != "" {
		t.Error("a remedy for nothing")
	}
}

// The caller's deadline says how long there was no answer, and stays what it is.
func TestWaited(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }))
	defer server.Close()
	for limit, want := range map[time.Duration]string{
		20 * time.Millisecond:   "the time limit ended before the answer",
		1100 * time.Millisecond: "connected, but no answer for 1 s",
	} {
		ctx, cancel := context.WithTimeout(t.Context(), limit)
		defer cancel()
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, server.URL, nil)
		if err != nil {
			t.Fatal(err)
		}
		_, err = wire.Do(nil, req, 10)
		if text := wire.Cause(err, server.URL); text != want || !errors.Is(err, context.DeadlineExceeded) || !strings.HasPrefix(wire.Remedy(err), "Allow more time") || wire.Retryable(err) {
			t.Errorf("%v: %s", limit, text)
		}
	}
}

// An answer that began is not said to be none, whichever limit ended it.
func TestBegun(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", "100")
		fmt.Fprint(w, "1234")
		w.(http.Flusher).Flush()
		<-r.Context().Done()
	}))
	defer server.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 1100*time.Millisecond)
	defer cancel()
	const text = "the answer began, but was not complete "
	for name, c := range map[string]struct {
		ctx          context.Context
		client       *http.Client
		text, remedy string
		is           error
	}{
		"caller's": {ctx, nil, text + "after 1 s (4 of 100 bytes)", "Allow more time (in the programs: -timeout). If that does not help, tell the operator of 127", context.DeadlineExceeded},
		"client's": {t.Context(), &http.Client{Timeout: 200 * time.Millisecond}, text + "when the time limit ended (4 of 100 bytes)", "Run again. If that does not help, tell the operator of 127", os.ErrDeadlineExceeded},
	} {
		req, err := http.NewRequestWithContext(c.ctx, http.MethodGet, server.URL, nil)
		if err != nil {
			t.Fatal(err)
		}
		_, err = wire.Do(c.client, req, 1000)
		if got := wire.Cause(err, server.URL); got != c.text || !strings.HasPrefix(wire.Remedy(err), c.remedy) || !strings.HasSuffix(wire.Remedy(err), "that slows the connection.") {
			t.Errorf("%s: %s. %s", name, got, wire.Remedy(err))
		}
		if !errors.Is(err, c.is) || wire.Retryable(err) != (c.is == os.ErrDeadlineExceeded) || wire.HRESULT(err) != 0x80072EE2 || errors.Is(err, context.DeadlineExceeded) != (c.ctx == ctx) {
			t.Errorf("%s: %v", name, err)
		}
		own := wire.OwnLimit(io.ErrNoProgress, err)
		if c.ctx == ctx && (!errors.Is(own, io.ErrNoProgress) || errors.Is(own, context.DeadlineExceeded) || !strings.HasPrefix(wire.Remedy(own), "Run again.")) {
			t.Errorf("%s: %v. %s", name, own, wire.Remedy(own))
		}
	}
}

func TestStatusRemedy(t *testing.T) {
	for status, want := range map[int]string{
		0: "", 200: "", 302: "moved", 400: "refuses", 401: "credentials", 403: "proxy", 404: "URL", 405: "URL", 407: "proxy asks", 408: "run again", 409: "refuses",
		418: "refuses", 425: "run again", 429: "run again", 500: "run again", 502: "proxy", 503: "busy", 504: "failed",
	} {
		got := wire.StatusRemedy(status, 0)
		if !strings.Contains(got, want) || (want == "") != (got == "") {
			t.Errorf("%d: %q", status, got)
		}
		if again := wire.StatusRemedy(status, time.Hour); wire.RetryableStatus(status) != strings.Contains(again, "run again in 1 h.") {
			t.Errorf("%d: %q", status, again)
		}
	}
}

func TestSpan(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0 s", 1400 * time.Millisecond: "1 s", 119 * time.Second: "119 s", 2 * time.Minute: "2 min", 125 * time.Second: "2 min 5 s",
		3 * time.Hour: "3 h", 185 * time.Minute: "3 h 5 min", 157*time.Hour + 7*time.Minute: "6 days 13 h", 48 * time.Hour: "2 days",
	} {
		if got := wire.Span(d); got != want {
			t.Errorf("%v: %s, not %s", d, got, want)
		}
	}
}

// A web page is quoted in at most 100 characters.
func TestPage(t *testing.T) {
	for body, want := range map[string]string{
		"":                            "",
		"<html><p>Sign\x1b in</html>": "Sign\ufffd in",
		`{"message":"no"}`:            "no",
		"<html>" + strings.Repeat("é", 101) + "</html>": strings.Repeat("é", 100) + "…",
		strings.Repeat("x", 100):                        strings.Repeat("x", 100),
	} {
		if got := wire.Page([]byte(body)); got != want {
			t.Errorf("%q: %q", body, got)
		}
	}
}
