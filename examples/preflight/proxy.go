package main

import (
	"net/http"
	"net/url"
	"strings"

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

// blameProxy makes one failure of the proxy's of all services that were not asked because it
// was not reached, and returns it. They say nothing about a device.
func blameProxy(proxy *result, answers []*answer) *result {
	for _, a := range answers {
		if !a.viaNone {
			continue
		}
		if proxy.Status != fail {
			proxy.note(fail, strings.TrimPrefix(a.Detail, stageProxy+": ")+"; the services behind it were not asked",
				"Correct or unset HTTPS_PROXY and HTTP_PROXY on this machine, or start the proxy. Then run preflight again.")
		}
		a.note(skip, "the proxy of this machine is not reached", "")
		a.Stage, a.Allow, a.Later, a.Screen = "", "", "", ""
	}
	return proxy
}
