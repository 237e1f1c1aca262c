package ekcert_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"testing"

	"github.com/whiteglove/whiteglove/ekcert"
	"github.com/whiteglove/whiteglove/ekcert/ekcerttest"
)

// TestIsPublic checks addresses of each block that is not public.
func TestIsPublic(t *testing.T) {
	for text, want := range map[string]bool{
		"8.8.8.8": true, "13.107.246.40": true, "172.32.0.1": true, "100.128.0.1": true, "2603:1030::1": true, "::ffff:8.8.8.8": true,
		"127.0.0.1": false, "127.9.9.9": false, "::1": false, "::ffff:127.0.0.1": false, "0.0.0.0": false, "::": false, "0.1.2.3": false,
		"10.0.0.1": false, "172.16.0.1": false, "192.168.1.1": false, "::ffff:10.0.0.1": false, "fd00::1": false, "fc00::1": false,
		"169.254.169.254": false, "fe80::1": false, "fe80::1%eth0": false, "fec0::1": false, "100.64.0.1": false, "192.0.0.1": false,
		"224.0.0.1": false, "ff02::1": false, "255.255.255.255": false, "240.0.0.1": false, "198.18.0.1": false,
		"64:ff9b::7f00:1": false, "64:ff9b:1::1": false, "2002:7f00:1::": false, "2001:db8::1": false, "192.0.2.1": false,
	} {
		if got := ekcert.IsPublic(netip.MustParseAddr(text)); got != want {
			t.Errorf("%s: %v", text, got)
		}
	}
}

// TestOnlyPublicAddresses verifies certificates whose URLs lead to this machine, as an
// address, as a name, and by redirect.
func TestOnlyPublicAddresses(t *testing.T) {
	ek := ekKey(t).Public()
	requests := 0
	m := &ekcerttest.Maker{Vendor: "IFX"}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		requests++
		m.ServeHTTP(w, r)
	}))
	defer server.Close()
	for _, m.BaseURL = range []string{server.URL, strings.Replace(server.URL, "127.0.0.1", "localhost", 1)} {
		cert := parsed(t, certify(t, m, ek))
		for name, httpClient := range map[string]*http.Client{"no client": nil, "no transport": {}} {
			c := &ekcert.Client{Roots: ekcert.Roots{"IFX": m.Roots()}, FetchIssuers: true, CheckRevocation: true, HTTPClient: httpClient}
			_, err := c.Verify(t.Context(), cert, ek)
			var e *ekcert.Error
			if !errors.Is(err, ekcert.ErrUntrusted) || !errors.As(err, &e) || e.Retryable() || !strings.Contains(err.Error(), "address is not public") || requests != 0 {
				t.Errorf("%s, %s: %v, %d requests", m.BaseURL, name, err, requests)
			}
			cert.Issuers = m.Certificates()[:1]
			report, err := c.Verify(t.Context(), cert, ek)
			if err != nil || report.Revocation != ekcert.RevocationUnknown || !strings.Contains(report.RevocationDetail, "address is not public") || requests != 0 {
				t.Errorf("%s, %s: %v, %+v, %d requests", m.BaseURL, name, err, report, requests)
			}
			cert.Issuers = nil
		}
		for name, c := range map[string]*ekcert.Client{
			"allowed": {AllowPrivateHosts: true}, "own transport": {HTTPClient: server.Client()},
		} {
			c.Roots, c.FetchIssuers = ekcert.Roots{"IFX": m.Roots()}, true
			if _, err := c.Verify(t.Context(), cert, ek); err != nil || requests == 0 {
				t.Errorf("%s, %s: %v, %d requests", m.BaseURL, name, err, requests)
			}
			requests = 0
		}
	}
}

// TestProxyIsNotAskedForPrivateHosts uses a proxy on this machine, as many networks
// have one.
func TestProxyIsNotAskedForPrivateHosts(t *testing.T) {
	asked := ""
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = r.URL.String()
		_, _ = io.WriteString(w, "through the proxy")
	}))
	defer proxy.Close()
	at, err := url.Parse(proxy.URL)
	if err != nil {
		t.Fatal(err)
	}
	client := &http.Client{Transport: ekcert.NewPublic(&http.Transport{Proxy: http.ProxyURL(at)})}
	get := func(url string) error {
		req, err := http.NewRequestWithContext(context.Background(), http.MethodGet, url, nil)
		if err != nil {
			t.Fatal(err)
		}
		res, err := client.Do(req)
		if err == nil {
			res.Body.Close()
		}
		return err
	}
	if err := get("http://maker.test/ca.cer"); err != nil || asked != "http://maker.test/ca.cer" {
		t.Errorf("%q, %v", asked, err)
	}
	asked = ""
	if err := get("http://169.254.169.254/latest"); err == nil || asked != "" {
		t.Errorf("%q, %v", asked, err)
	}
}
