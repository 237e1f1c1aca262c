package main

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/url"
	"syscall"

	"github.com/whiteglove/whiteglove/examples/internal/command"
	"github.com/whiteglove/whiteglove/internal/hresult"
	"github.com/whiteglove/whiteglove/internal/plain"
	"github.com/whiteglove/whiteglove/internal/wire"
)

// Stages of a connection, in their order.
const (
	stageDNS   = "dns"
	stageTCP   = "tcp"
	stageProxy = "proxy"
	stageTLS   = "tls"
	stageHTTP  = "http"
)

// remedies say what to do about a connection that ended in a stage.
var remedies = map[string]string{
	stageDNS:   "Let the network's DNS server resolve this name; it must be able to ask servers beyond the firewall.",
	stageTCP:   "Let it through the firewall of the network that the device is in; there is no setting for it in the cloud.",
	stageProxy: "Let the proxy pass this host without authentication: during setup no user can sign in to it.",
	stageTLS:   "Exclude this host from TLS inspection, and let TLS 1.2 and later through.",
	stageHTTP:  "Look for a proxy or web filter that cuts the connection, and exclude this host from it.",
}

// wsaRefused is WSAECONNREFUSED, which is what Windows has for ECONNREFUSED.
const wsaRefused = syscall.Errno(10061)

// judgeError notes in which stage a connection ended, and why.
func (p *prober) judgeError(r *result, err error) {
	r.code = wire.HRESULT(err)
	if p.judgeCertificate(r, err) {
		return
	}
	var dns *net.DNSError
	var refused *proxyError
	switch {
	case errors.As(err, &refused):
		r.Stage, r.code = stageProxy, hresult.HTTP(refused.code)
	case errors.As(err, &dns) && r.Stage != stageProxy:
		r.Stage = stageDNS
		r.Temporary = dns.IsTemporary
	}
	var op *net.OpError
	r.viaNone = r.Stage == stageProxy && errors.As(err, &op) && op.Op == "proxyconnect"
	detail := command.OneLine(plain.Text(err))
	switch {
	case timedOut(err):
		detail = "no answer in time"
	case r.Stage == stageDNS && dns != nil:
		detail = command.OneLine(dns.Err)
	}
	remedy := remedies[r.Stage]
	if r.Stage == stageTCP && (errors.Is(err, syscall.ECONNREFUSED) || errors.Is(err, wsaRefused)) {
		remedy = "Nothing listens at the address, so the service is down or the address is wrong; or a firewall refuses the connection: let it through there."
	}
	r.note(fail, r.Stage+": "+detail, remedy)
}

// A proxyError is the refusal of a proxy to connect.
type proxyError struct {
	status string
	code   int
}

func (e *proxyError) Error() string { return "the proxy answered " + e.status }

// refusedByProxy returns a [*proxyError] if the proxy did not connect. It is an
// OnProxyConnectResponse of [http.Transport].
func refusedByProxy(_ context.Context, _ *url.URL, _ *http.Request, resp *http.Response) error {
	if resp.StatusCode == http.StatusOK {
		return nil
	}
	return &proxyError{resp.Status, resp.StatusCode}
}
