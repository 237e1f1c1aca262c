package wire

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/whiteglove/whiteglove/internal/hresult"
)

// A proxyRefusal is the answer of a proxy that does not connect to a server. Package
// net/http returns only the words of the status.
type proxyRefusal struct {
	proxy  string // host and port, or ""
	status int
	err    error
}

// Error returns which proxy it is and the status of its answer.
func (p *proxyRefusal) Error() string {
	name := "the proxy"
	if p.proxy != "" {
		name += " " + Visible(p.proxy)
	}
	return fmt.Sprintf("%s answers %d", name, p.status)
}

// Unwrap returns the error of package net/http.
func (p *proxyRefusal) Unwrap() error { return p.err }

// hresult returns the code that Windows has for the status.
func (p *proxyRefusal) hresult() uint32 { return hresult.HTTP(p.status) }

// remedy returns what to do so that the proxy connects to a host.
func (p *proxyRefusal) remedy(host string) string {
	switch {
	case p.status == http.StatusProxyAuthRequired:
		return fmt.Sprintf("It asks for a sign-in: let %s pass without one, or give the proxy's URL with name and password (HTTPS_PROXY).", host)
	case p.status >= http.StatusInternalServerError:
		return fmt.Sprintf("The proxy does not reach %s: check the address, then ask the proxy's operator.", host)
	}
	return fmt.Sprintf("The proxy does not let this device connect to %s: ask the proxy's operator to let it pass.", host)
}

// refusedByProxy returns err with a [*proxyRefusal] in it if it is one: words of a status in
// place of an error, for a request that went through a proxy.
func refusedByProxy(c *http.Client, req *http.Request, err error) error {
	sent, ok := err.(*url.Error)
	if !ok || errors.Unwrap(sent.Err) != nil || !strings.HasPrefix(sent.URL, "https:") {
		return err
	}
	proxy := proxyOf(c, req)
	for status := http.StatusMultipleChoices; status < 600; status++ {
		if text := http.StatusText(status); text == "" || text != sent.Err.Error() || proxy == "" && status != http.StatusProxyAuthRequired {
			continue
		}
		return &url.Error{Op: sent.Op, URL: sent.URL, Err: &proxyRefusal{proxy, status, sent.Err}}
	}
	return err
}

// proxyOf returns the host and port of the proxy that a request goes through, or "" if
// there is none or that is not known.
func proxyOf(c *http.Client, req *http.Request) string {
	var transport http.RoundTripper
	if c != nil {
		transport = c.Transport
	}
	if transport == nil {
		transport = http.DefaultTransport
	}
	t, ok := transport.(*http.Transport)
	if !ok || t.Proxy == nil {
		return ""
	}
	u, err := t.Proxy(req)
	if err != nil || u == nil {
		return ""
	}
	return u.Host
}
