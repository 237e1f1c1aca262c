package ekcert

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"syscall"
	"time"
)

// errNotPublic is the error of a URL in a certificate that leads to an address that is
// not public.
var errNotPublic = errors.New("address is not public")

// notPublic are the address blocks that public servers do not have (RFC 6890), except
// those for which netip.Addr has a method.
var notPublic = []netip.Prefix{
	netip.MustParsePrefix("0.0.0.0/8"),       // this network
	netip.MustParsePrefix("100.64.0.0/10"),   // shared by a provider and its customers
	netip.MustParsePrefix("192.0.0.0/24"),    // protocol assignments
	netip.MustParsePrefix("192.0.2.0/24"),    // documentation
	netip.MustParsePrefix("198.18.0.0/15"),   // benchmarks
	netip.MustParsePrefix("198.51.100.0/24"), // documentation
	netip.MustParsePrefix("203.0.113.0/24"),  // documentation
	netip.MustParsePrefix("240.0.0.0/4"),     // reserved, and broadcast
	netip.MustParsePrefix("64:ff9b::/96"),    // is translated to any IPv4 address
	netip.MustParsePrefix("64:ff9b:1::/48"),  // is translated locally to any IPv4 address
	netip.MustParsePrefix("2001:db8::/32"),   // documentation
	netip.MustParsePrefix("2002::/16"),       // leads to any IPv4 address
	netip.MustParsePrefix("fec0::/10"),       // site-local, deprecated
}

// isPublic reports whether a public server can have an address.
func isPublic(a netip.Addr) bool {
	a = a.Unmap().WithZone("")
	// Loopback, link-local, multicast and unspecified addresses are not global unicast.
	if !a.IsGlobalUnicast() || a.IsPrivate() {
		return false
	}
	for _, p := range notPublic {
		if p.Contains(a) {
			return false
		}
	}
	return true
}

// onlyPublic refuses to connect to an address that is not public. It is the Control of
// a [net.Dialer], which calls it after the name was resolved.
func onlyPublic(_, address string, _ syscall.RawConn) error {
	at, err := netip.ParseAddrPort(address)
	if err != nil {
		return err
	}
	if !isPublic(at.Addr()) {
		return fmt.Errorf("%w: %s", errNotPublic, at.Addr())
	}
	return nil
}

// A publicTransport connects only to public addresses. It is for URLs in certificates. A
// proxy from the environment may have any address. Such a proxy resolves names itself;
// requests for an address that is not public are not sent to it.
type publicTransport struct {
	direct, proxied *http.Transport
}

// RoundTrip implements [http.RoundTripper].
func (p *publicTransport) RoundTrip(req *http.Request) (*http.Response, error) {
	if p.proxied.Proxy != nil {
		proxy, err := p.proxied.Proxy(req)
		if err != nil {
			return nil, err
		}
		if proxy != nil {
			if a, err := netip.ParseAddr(req.URL.Hostname()); err == nil && !isPublic(a) {
				return nil, fmt.Errorf("%w: %s", errNotPublic, a)
			}
			return p.proxied.RoundTrip(req)
		}
	}
	return p.direct.RoundTrip(req)
}

// publicDefault is a publicTransport with the settings of http.DefaultTransport, or nil
// if the program has replaced that.
var publicDefault = sync.OnceValue(func() http.RoundTripper {
	base, ok := http.DefaultTransport.(*http.Transport)
	if !ok {
		return nil
	}
	return newPublic(base)
})

func newPublic(base *http.Transport) *publicTransport {
	direct := base.Clone()
	dialer := &net.Dialer{Timeout: 30 * time.Second, KeepAlive: 30 * time.Second, Control: onlyPublic}
	direct.Proxy = nil
	direct.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
		return dialer.DialContext(ctx, network, address)
	}
	return &publicTransport{direct: direct, proxied: base}
}

// strangers returns the HTTP client for URLs in certificates; see AllowPrivateHosts.
func (c *Client) strangers() *http.Client {
	if c.AllowPrivateHosts || c.HTTPClient != nil && c.HTTPClient.Transport != nil {
		return c.HTTPClient
	}
	own := new(http.Client)
	if c.HTTPClient != nil {
		*own = *c.HTTPClient
	} else {
		*own = *http.DefaultClient
		if own.Transport != nil {
			return own
		}
	}
	own.Transport = publicDefault()
	return own
}
