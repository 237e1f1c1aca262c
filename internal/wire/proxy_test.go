package wire_test

import (
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/whiteglove/whiteglove/internal/errtext"
	"github.com/whiteglove/whiteglove/internal/wire"
)

// Failures before a server answers: whose fault it is, which code, and whether it may pass.
func TestOnTheWay(t *testing.T) {
	through := func(status int) (*http.Client, string) {
		proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) }))
		t.Cleanup(proxy.Close)
		u, err := url.Parse(proxy.URL)
		if err != nil {
			t.Fatal(err)
		}
		return &http.Client{Transport: &http.Transport{Proxy: http.ProxyURL(u)}}, u.Host
	}
	asks, asksAt := through(http.StatusProxyAuthRequired)
	forbids, forbidsAt := through(http.StatusForbidden)
	broken, brokenAt := through(http.StatusBadGateway)
	silent, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	secure := httptest.NewTLSServer(http.NotFoundHandler())
	defer secure.Close()
	tlsAt := strings.TrimPrefix(secure.URL, "https://")
	alerts := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		c, _, err := http.NewResponseController(w).Hijack()
		if err == nil {
			_, _ = c.Write([]byte("\x15\x03\x01\x00\x02\x02\x16"))
			c.Close()
		}
	}))
	defer alerts.Close()
	cut := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }))
	defer cut.Close()
	cutAt := strings.TrimPrefix(cut.URL, "http://")
	gone := &http.Client{Transport: roundTripper(func(*http.Request) (*http.Response, error) {
		return nil, &net.OpError{Op: "dial", Net: "tcp", Err: &net.DNSError{Err: "no such host", Name: "nosuch.test", IsNotFound: true}}
	})}
	closed, err := url.Parse("http://127.0.0.1:1")
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		client *http.Client
		url    string
		want   string // text, code and remedy
		passes bool
	}{
		"a proxy asks for a sign-in": {asks, "https://mdm.test/", fmt.Sprintf("the proxy %s answers 407 (0x80190197). It asks for a sign-in: let mdm.test pass without one, or give the proxy's URL with name and password (HTTPS_PROXY).", asksAt), false},
		"a proxy forbids":            {forbids, "https://mdm.test/", fmt.Sprintf("the proxy %s answers 403 (0x80190193). The proxy does not let this device connect to mdm.test: ask the proxy's operator to let it pass.", forbidsAt), false},
		"a proxy fails":              {broken, "https://mdm.test/", fmt.Sprintf("the proxy %s answers 502 (0x801901F6). The proxy does not reach mdm.test: check the address, then ask the proxy's operator.", brokenAt), true},
		"no proxy":                   {&http.Client{Transport: &http.Transport{Proxy: http.ProxyURL(closed)}}, "https://mdm.test/", "the proxy is not reached: nothing listens at 127.0.0.1:1: connection refused (0x80072EFD). Check the address of the proxy (HTTPS_PROXY) and that it runs.", false},
		"no host":                    {gone, "https://nosuch.test/", `no such host: "nosuch.test" (0x80072EE7). Check the spelling of "nosuch.test", then this device's DNS.`, false},
		"http to a port of TLS":      {nil, "http://" + tlsAt, fmt.Sprintf("the server speaks TLS at this port, and the URL is http (0x80072F78). Write https:// in the URL of %s.", tlsAt), false},
		"an alert of TLS":            {nil, alerts.URL, fmt.Sprintf("the server speaks TLS at this port, and the URL is http (0x80072F78). Write https:// in the URL of %s.", alerts.Listener.Addr()), false},
		"http that is cut":           {nil, cut.URL, fmt.Sprintf("the connection was cut before the answer (0x80072EFF). %[1]s, or a proxy or firewall on the way, cut the connection. If %[1]s speaks TLS, write https:// in its URL. If not, run again; if that does not help, find out which of them it was.", cutAt), true},
		"TLS that does not begin": {
			&http.Client{Transport: &http.Transport{TLSHandshakeTimeout: 1100 * time.Millisecond}}, "https://" + silent.Addr().String(),
			fmt.Sprintf("connected, but no TLS answer for 1 s (0x80072EE2). Check that the port is one of TLS, then look for a proxy or firewall that holds the connection. If neither helps, tell the operator of %s.", silent.Addr()), true,
		},
	} {
		_, err := get(t, c.client, c.url, 1000)
		if err == nil {
			t.Errorf("%s: no error", name)
			continue
		}
		got := fmt.Sprintf("%s (0x%08X). %s", wire.Cause(err, c.url), wire.HRESULT(err), wire.Remedy(err))
		if got != c.want {
			t.Errorf("%s:\n%s\nnot\n%s", name, got, c.want)
		}
		if wire.Retryable(err) != c.passes {
			t.Errorf("%s: Retryable is %v", name, !c.passes)
		}
		for _, fault := range errtext.Faults(strings.ReplaceAll(got, "https://", "")) {
			t.Errorf("%s: %s", name, fault)
		}
	}
}
