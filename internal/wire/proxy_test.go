package wire_test

import (
	"context"
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
		"a proxy asks for a sign-in": {asks, "https://mdm.test/", fmt.Sprintf("the proxy %s refuses the connection (407 Proxy Authentication Required) (0x80190197). It asks for a sign-in: let mdm.test pass without one, or give the proxy's URL with name and password (HTTPS_PROXY).", asksAt), false},
		"a proxy forbids":            {forbids, "https://mdm.test/", fmt.Sprintf("the proxy %s refuses the connection (403 Forbidden) (0x80190193). The proxy does not let this device connect to mdm.test: ask the proxy's operator to let it pass.", forbidsAt), false},
		"a proxy fails":              {broken, "https://mdm.test/", fmt.Sprintf("the proxy %s refuses the connection (502 Bad Gateway) (0x801901F6). The proxy does not reach mdm.test: check the address, then ask the proxy's operator.", brokenAt), true},
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

// A proxy that answers with other words than the status has, or not in HTTP, is told as one,
// by a transport of the caller and by one with ProxyRefuses behind another.
func TestProxyWords(t *testing.T) {
	const check = "Check HTTPS_PROXY; else have the proxy's operator let mdm.test:443 pass, or name the host in NO_PROXY."
	for answer, want := range map[string][3]string{ // of a transport, of one with ProxyRefuses, and the remedy
		"HTTP/1.1 501 Unsupported method ('CONNECT')\r\n\r\n": {"refuses the connection (Unsupported method ('CONNECT'))", "refuses the connection (501 Unsupported method ('CONNECT'))", check},
		"HTTP/1.0 405 Method Not Allowed\r\n\r\n":             {"refuses the connection (405 Method Not Allowed)", "refuses the connection (405 Method Not Allowed)", check},
		"HTTP/1.1 204 No Content\r\n\r\n":                     {"refuses the connection (No Content)", "refuses the connection (204 No Content)", check},
		"HTTP/1.1 599 \r\n\r\n":                               {"", "refuses the connection (599 no words)", check},
		"SSH-2.0-OpenSSH_9.6\r\n":                             {"does not answer in HTTP", "does not answer in HTTP", "Check the address of the proxy (HTTPS_PROXY): something else listens there."},
	} {
		l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		go func() {
			for {
				c, err := l.Accept()
				if err != nil {
					return
				}
				_, _ = c.Read(make([]byte, 4096))
				_, _ = c.Write([]byte(answer))
				c.Close()
			}
		}()
		proxy := &url.URL{Scheme: "http", Host: l.Addr().String()}
		for i, ours := range []func(context.Context, *url.URL, *http.Request, *http.Response) error{nil, wire.ProxyRefuses} {
			if want[i] == "" {
				continue
			}
			_, err := get(t, &http.Client{Transport: &http.Transport{Proxy: http.ProxyURL(proxy), OnProxyConnectResponse: ours}}, "https://mdm.test/", 1000)
			got := fmt.Sprintf("%s. %s", wire.Cause(err, "https://mdm.test/"), wire.Remedy(err))
			if full := fmt.Sprintf("the proxy %s %s. %s", l.Addr(), want[i], want[2]); got != full || wire.HRESULT(err) == 0 || wire.Retryable(err) {
				t.Errorf("%q:\n%s\nnot\n%s", answer, got, full)
			}
		}
		l.Close()
	}
}

// What TLS says of the server behind a proxy is not the proxy's.
func TestBehindProxy(t *testing.T) {
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		c, err := l.Accept()
		if err != nil {
			return
		}
		_, _ = c.Read(make([]byte, 4096))
		_, _ = c.Write([]byte("HTTP/1.1 200 OK\r\n\r\n"))
		_, _ = c.Read(make([]byte, 4096))
		_, _ = c.Write([]byte("SSH-2.0-OpenSSH_9.6\r\n"))
		c.Close()
	}()
	proxy := http.ProxyURL(&url.URL{Scheme: "http", Host: l.Addr().String()})
	_, err = get(t, &http.Client{Transport: &http.Transport{Proxy: proxy}}, "https://mdm.test/", 1000)
	if err == nil || strings.Contains(err.Error(), "the proxy") {
		t.Error(err)
	}
}
