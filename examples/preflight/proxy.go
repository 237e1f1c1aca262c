package main

import (
	"net/http"
	"net/url"

	"github.com/whiteglove/whiteglove/internal/traffic"
)

// proxyFor returns the proxy for a request, or nil if there is none. A host for
// which another address is dialed needs none.
func (p *prober) proxyFor(req *http.Request) (*url.URL, error) {
	if _, ok := p.instead(req.URL.Hostname()); ok {
		return nil, nil
	}
	return p.proxy(req)
}

// checkProxy notes which proxy the environment names. Whether it lets a request
// through shows when the services are asked.
func checkProxy(p *prober) *result {
	r := &result{Phase: traffic.PhaseBase, Name: "proxy"}
	req, err := http.NewRequest(http.MethodGet, "https://login.microsoftonline.com/", nil)
	if err != nil {
		return r.failed(err, remedies[stageProxy])
	}
	via, err := p.proxy(req)
	switch {
	case err != nil:
		return r.note(fail, "the environment names a proxy, but not by a URL", "Set HTTPS_PROXY to the proxy's URL, or unset it.")
	case via == nil:
		return r.note(pass, "the environment names none; automatic configuration (WPAD) is not checked", "")
	case via.User != nil:
		return r.note(warn, "the environment names "+via.Redacted()+", which is used with a password", remedies[stageProxy])
	}
	return r.note(pass, "the environment names "+via.Redacted()+"; a device finds its proxy in its own way", "")
}
