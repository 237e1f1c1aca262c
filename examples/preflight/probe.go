package main

import (
	"context"
	"crypto/x509"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/whiteglove/whiteglove/internal/traffic"
)

// A prober asks services whether they can be reached and are genuine.
type prober struct {
	hosts    map[string]string   // addresses that are dialed instead of hosts; "*" stands for every other host
	roots    []*x509.Certificate // trusted for TLS besides the system's
	file     string              // that has roots, for messages
	system   *x509.CertPool      // in place of the system's roots, if not nil
	proxy    func(*http.Request) (*url.URL, error)
	resolver *net.Resolver // nil stands for the system's
	timeout  time.Duration // for each target
}

// newProber returns a prober that uses the proxy that the environment names.
func newProber(hosts map[string]string, timeout time.Duration) *prober {
	return &prober{hosts: hosts, proxy: http.ProxyFromEnvironment, timeout: timeout}
}

// An answer is the result of asking a target.
type answer struct {
	*result
	ahead time.Duration // how far the service's clock is ahead of this machine's
	dated bool          // whether ahead is known
}

// probeAll asks all targets at once. The answers are in the targets' order.
func (p *prober) probeAll(ctx context.Context, targets []target) []*answer {
	answers := make([]*answer, len(targets))
	var wg sync.WaitGroup
	for i, t := range targets {
		wg.Go(func() { answers[i] = p.probe(ctx, t) })
	}
	wg.Wait()
	return answers
}

// probe asks a target. A failure that does not stop a device becomes a warning.
func (p *prober) probe(ctx context.Context, t target) *answer {
	a := &answer{result: t.result()}
	if t.skip != "" {
		a.note(skip, t.skip, "")
		return a
	}
	ctx, cancel := context.WithTimeout(ctx, p.timeout)
	defer cancel()
	for _, at := range t.urls {
		a = p.ask(ctx, t, at)
		if a.Status != fail {
			break
		}
	}
	if a.Status == fail || a.Status == warn {
		a.Later, a.Screen = t.step().Breaks, t.step().Says(a.code)
	}
	if a.Status == fail && (t.Need == traffic.Minor || t.Need == traffic.Quick && ctx.Err() == nil) {
		a.Status = warn
	}
	return a
}

// ask asks a target at one of its URLs.
func (p *prober) ask(ctx context.Context, t target, at string) *answer {
	a := &answer{result: t.result()}
	a.URL = at
	u, err := url.Parse(at)
	if err != nil {
		a.failed(err, "Name the service by a URL.")
		return a
	}
	a.Allow = t.Allow
	if a.Allow == "" {
		a.Allow = net.JoinHostPort(u.Hostname(), port(u))
	}
	start := time.Now()
	if u.Scheme == "ntp" {
		p.askTime(ctx, u.Hostname(), a)
	} else {
		p.askHTTP(ctx, &t, at, a)
	}
	a.Elapsed = float64(time.Since(start).Microseconds()) / 1000
	return a
}

// instead returns the address that is dialed instead of a host, if there is one.
func (p *prober) instead(host string) (address string, ok bool) {
	if address, ok = p.hosts[strings.ToLower(host)]; !ok {
		address, ok = p.hosts["*"]
	}
	return address, ok
}

// dial connects to an address, or to the one that is dialed instead of it.
func (p *prober) dial(ctx context.Context, network, address string) (net.Conn, error) {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	if other, ok := p.instead(host); ok {
		address = other
	}
	d := net.Dialer{Resolver: p.resolver}
	return d.DialContext(ctx, network, address)
}

// port returns the port of a URL, or the default of its scheme.
func port(u *url.URL) string {
	if p := u.Port(); p != "" {
		return p
	}
	return map[string]string{"http": "80", "https": "443", "ntp": "123"}[u.Scheme]
}
