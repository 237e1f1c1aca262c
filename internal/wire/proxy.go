package wire

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/whiteglove/whiteglove/internal/hresult"
	"github.com/whiteglove/whiteglove/internal/plain"
)

// A proxyRefusal is the answer of a proxy that does not connect to a server. Package
// net/http returns only the words of the status.
type proxyRefusal struct {
	proxy  string // host and port, or ""
	status int    // 0 if it is not known
	words  string // of the status; "" if the answer is not HTTP
	err    error  // of package net/http, or nil
}

// Error returns which proxy it is and the status of its answer.
func (p *proxyRefusal) Error() string {
	name := "the proxy"
	if p.proxy != "" {
		name += " " + Visible(p.proxy)
	}
	if p.words == "" {
		return name + " does not answer in HTTP"
	}
	said := fmt.Sprintf("%.100s", Visible(p.words))
	if p.status != 0 {
		said = fmt.Sprintf("%d %s", p.status, said)
	}
	return name + " refuses the connection (" + said + ")"
}

// Unwrap returns the error of package net/http.
func (p *proxyRefusal) Unwrap() error { return p.err }

// hresult returns the code that Windows has for the status.
func (p *proxyRefusal) hresult() uint32 {
	if p.status == 0 {
		return hresult.InvalidResponse
	}
	return hresult.HTTP(p.status)
}

// remedy returns what to do so that the proxy connects to a host.
func (p *proxyRefusal) remedy(host string) string {
	switch {
	case p.words == "":
		return "Check the address of the proxy (HTTPS_PROXY): something else listens there."
	case p.status == http.StatusProxyAuthRequired:
		return fmt.Sprintf("It asks for a sign-in: let %s pass without one, or give the proxy's URL with name and password (HTTPS_PROXY).", host)
	case p.status == http.StatusForbidden, p.status == http.StatusUnauthorized, p.status == http.StatusUnavailableForLegalReasons:
		return fmt.Sprintf("The proxy does not let this device connect to %s: ask the proxy's operator to let it pass.", host)
	case RetryableStatus(p.status):
		return fmt.Sprintf("The proxy does not reach %s: check the address, then ask the proxy's operator.", host)
	}
	at := host
	if u, err := url.Parse("https://" + host); err == nil && u.Port() == "" {
		at += ":443"
	}
	return fmt.Sprintf("Check HTTPS_PROXY; else have the proxy's operator let %s pass, or name the host in NO_PROXY.", at)
}

// ProxyRefuses returns an error that says which proxy did not connect to a server, and the
// status of its answer. It is an OnProxyConnectResponse of [http.Transport].
func ProxyRefuses(_ context.Context, proxy *url.URL, _ *http.Request, res *http.Response) error {
	if res.StatusCode == http.StatusOK {
		return nil
	}
	_, words, _ := strings.Cut(res.Status, " ")
	return &proxyRefusal{proxy: proxy.Host, status: res.StatusCode, words: cmp.Or(words, http.StatusText(res.StatusCode), "no words")}
}

// refusedByProxy returns err with a [*proxyRefusal] in it if it is one: words of a status in
// place of an error, for a request that went through a proxy and came no farther.
func refusedByProxy(c *http.Client, req *http.Request, way *progress, err error) error {
	sent, ok := err.(*url.Error)
	if !ok || errors.Unwrap(sent.Err) != nil || !strings.HasPrefix(sent.URL, "https:") {
		return err
	}
	refused := &proxyRefusal{words: sent.Err.Error(), err: sent.Err}
	for status := http.StatusMultipleChoices; status < 600; status++ {
		if http.StatusText(status) == refused.words {
			refused.status = status
		}
	}
	proxy := proxyOf(c, req)
	switch {
	case proxy == nil && refused.status == http.StatusProxyAuthRequired: // which only a proxy says
	case proxy == nil || !way.isAtProxy(proxy):
		return err
	case strings.HasPrefix(refused.words, "malformed HTTP "):
		refused.words = ""
	case fmt.Sprintf("%T", sent.Err) != "*errors.errorString" || plain.IsCut(sent.Err):
		return err
	}
	if proxy != nil {
		refused.proxy = proxy.Host
	}
	return &url.Error{Op: sent.Op, URL: sent.URL, Err: refused}
}

// isAtProxy reports whether the request came to the proxy of HTTP, and not to TLS with the
// server behind it.
func (p *progress) isAtProxy(proxy *url.URL) bool {
	switch proxy.Scheme {
	case "http":
		return p.n.Load() == reachedAddress && p.tls.Load() == 0
	case "https":
		return p.n.Load() == reachedAddress && p.tls.Load() == 1 // with the proxy
	}
	return false
}

// proxyOf returns the proxy that a request goes through, or nil if there is none or that
// is not known.
func proxyOf(c *http.Client, req *http.Request) *url.URL {
	var transport http.RoundTripper
	if c != nil {
		transport = c.Transport
	}
	if transport == nil {
		transport = http.DefaultTransport
	}
	t, ok := transport.(*http.Transport)
	if !ok || t.Proxy == nil {
		return nil
	}
	u, err := t.Proxy(req)
	if err != nil {
		return nil
	}
	return u
}
