package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"github.com/whiteglove/whiteglove/internal/hresult"
	"github.com/whiteglove/whiteglove/internal/wire"
)

// maxBody is how many bytes of an answer are read.
const maxBody = 64 << 10

// A watch records how far a request gets.
type watch struct {
	stage   atomic.Value // string: the stage that was reached last
	address atomic.Value // string: what was connected to
	proxied bool
}

// trace returns the hooks that report to w.
func (w *watch) trace() *httptrace.ClientTrace {
	reach := func(stage string) {
		if w.proxied && stage != stageTLS && stage != stageHTTP {
			stage = stageProxy
		}
		w.stage.Store(stage)
	}
	reach(stageDNS)
	return &httptrace.ClientTrace{
		DNSStart:          func(httptrace.DNSStartInfo) { reach(stageDNS) },
		ConnectStart:      func(_, address string) { reach(stageTCP); w.address.Store(address) },
		TLSHandshakeStart: func() { reach(stageTLS) },
		GotConn: func(info httptrace.GotConnInfo) {
			reach(stageHTTP)
			w.address.Store(info.Conn.RemoteAddr().String())
		},
	}
}

// askHTTP requests the URL at, and judges connection, certificate and answer.
func (p *prober) askHTTP(ctx context.Context, t *target, at string, a *answer) {
	w := new(watch)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, at, nil)
	if err != nil {
		a.failed(err, "Name the service by a URL.")
		return
	}
	via, err := p.proxyFor(req)
	if err != nil {
		a.Stage = stageProxy
		a.failed(err, remedies[stageProxy])
		return
	}
	w.proxied = via != nil
	req = req.WithContext(httptrace.WithClientTrace(ctx, w.trace()))
	resp, body, before, err := p.send(req, via)
	a.Address, _ = w.address.Load().(string)
	if err != nil {
		a.Stage, _ = w.stage.Load().(string)
		p.judgeError(a.result, err)
		return
	}
	a.HTTP = resp.StatusCode
	a.ahead, a.dated = ahead(resp, before, time.Now())
	t.proof.judge(a.result, resp, body)
	if a.Status == pass {
		p.judgeIssuer(a.result, resp.TLS)
	}
}

// send sends a request through the proxy via, or to the host itself if via is
// nil. It follows no redirect. before is the time at which it sent the request.
func (p *prober) send(req *http.Request, via *url.URL) (resp *http.Response, body []byte, before time.Time, err error) {
	pool, err := p.pool()
	if err != nil {
		return nil, nil, before, err
	}
	transport := &http.Transport{
		Proxy:                  http.ProxyURL(via),
		DialContext:            p.dial,
		TLSClientConfig:        &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12},
		MaxResponseHeaderBytes: maxBody,
		DisableKeepAlives:      true,
		OnProxyConnectResponse: refusedByProxy,
	}
	defer transport.CloseIdleConnections()
	before = time.Now()
	resp, err = transport.RoundTrip(req)
	if err != nil {
		return nil, nil, before, err
	}
	defer resp.Body.Close()
	body, err = io.ReadAll(io.LimitReader(resp.Body, maxBody))
	return resp, body, before, err
}

// judge notes whether an answer is the service's own.
func (p proof) judge(r *result, resp *http.Response, body []byte) {
	said := fmt.Sprintf("HTTP status %d", resp.StatusCode)
	r.Stage = stageHTTP
	r.code = hresult.InvalidData // as for a page in place of data
	if resp.StatusCode >= http.StatusBadRequest {
		r.code = hresult.HTTP(resp.StatusCode)
	}
	switch {
	case resp.StatusCode == http.StatusProxyAuthRequired:
		r.note(fail, said+": a proxy asks for authentication", remedies[stageProxy])
	case resp.StatusCode == http.StatusNetworkAuthenticationRequired, elsewhere(resp):
		r.note(fail, said+": sent to another site, as by the sign-in page of a guest network", remedyPortal)
	case p.denies(resp, body):
		r.note(fail, said+": "+p.denial, p.hint)
	case p.holds(resp, body):
		r.Stage = ""
		r.note(pass, said+", as the service answers", "")
	case resp.StatusCode >= 500 || resp.StatusCode == http.StatusTooManyRequests:
		r.Temporary = true
		r.note(fail, said+": the service, or a proxy before it, does not serve", "Try again in some minutes. If that does not help, look for a proxy that answers instead of the service.")
	case p == proof{}:
		r.Stage = ""
		r.note(pass, said+"; any answer counts", "")
	case wire.IsHTML(body):
		r.note(fail, said+", but with a web page (HTML)", remedyPortal)
	default:
		r.note(fail, said+", but this is not how the service answers", remedyOther)
	}
}

// Remedies for answers that are not the service's.
const (
	remedyPortal = "A portal or proxy answers in the services' place: sign in there, or exempt the hosts."
	remedyOther  = "Look for a proxy or a web filter that answers instead of the service, and exclude the host from it."
)

// denies reports whether the service answers that it does not know what it was asked for.
func (p proof) denies(resp *http.Response, body []byte) bool {
	return p.denial != "" && (resp.StatusCode == http.StatusBadRequest || resp.StatusCode == http.StatusNotFound) && !wire.IsHTML(body)
}

// holds reports whether an answer is as p describes it. It is false for the zero
// proof, and for a web page that nothing tells from a portal's.
func (p proof) holds(resp *http.Response, body []byte) bool {
	if p.text == "" && resp.StatusCode == http.StatusOK && wire.IsHTML(body) {
		return false
	}
	text := append(bytes.ToLower(body), strings.ToLower(resp.Header.Get("Location"))...)
	return p != proof{} && (p.status == 0 || p.status == resp.StatusCode) && bytes.Contains(text, []byte(strings.ToLower(p.text)))
}

// elsewhere reports whether a request without TLS was redirected to another
// site. Over TLS, a redirect is the service's own answer.
func elsewhere(resp *http.Response) bool {
	if resp.TLS != nil {
		return false
	}
	to, err := resp.Location()
	return err == nil && site(to.Hostname()) != site(resp.Request.URL.Hostname())
}

// site returns the last two labels of a host name, or an IP address as it is.
func site(host string) string {
	if net.ParseIP(host) != nil {
		return host
	}
	labels := strings.Split(strings.ToLower(host), ".")
	return strings.Join(labels[max(0, len(labels)-2):], ".")
}

// timedOut reports whether an error means that the time was up.
func timedOut(err error) bool {
	var ne net.Error
	return errors.Is(err, context.DeadlineExceeded) || errors.As(err, &ne) && ne.Timeout()
}
