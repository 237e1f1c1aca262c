package main

import (
	"context"
	"crypto/x509"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/whiteglove/whiteglove/examples/internal/command"
	"github.com/whiteglove/whiteglove/internal/traffic"
)

// quiet is a logger that logs nothing.
var quiet = log.New(io.Discard, "", 0)

// direct is a prober's proxy function that names no proxy.
func direct(*http.Request) (*url.URL, error) { return nil, nil }

// says returns a handler that answers every request alike.
func says(status int, text string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		io.WriteString(w, text)
	}
}

// host is the host of the services in tests.
const host = "service.test"

func TestConnection(t *testing.T) {
	ca, other := newCA(t, "Contoso"), newCA(t, "Proxy")
	later, past := time.Now().AddDate(0, 1, 0), time.Now().Add(-time.Hour)
	good := says(200, "hello, I am Service")
	plain := func(h http.HandlerFunc) string { return servePlain(t, h) }
	tests := []struct {
		name, scheme, dial      string
		status, stage, in, does string
	}{
		{"good", "https", ca.serve(t, good, later, host), pass, "", "status 200", ""},
		{"good without TLS", "http", plain(good), pass, "", "status 200", ""},
		{"refused", "https", closed(t), fail, stageTCP, "tcp: nothing listens at ", "firewall"},
		{"intercepted", "https", other.serve(t, good, later, host), fail, stageTLS, "Proxy Root", "inspection"},
		{"other name", "https", ca.serve(t, good, later, "portal.test"), fail, stageTLS, "portal.test", "leads this name elsewhere"},
		{"expired", "https", ca.serve(t, good, past, host), fail, stageTLS, "by this machine's clock", "clock"},
		{"no TLS", "https", plain(good), fail, stageTLS, "tls:", "inspection"},
		{"cut before TLS", "https", serveRaw(t, func(net.Conn) {}), fail, stageTLS, "tls: ", "inspection"},
		{"cut after TLS", "https", ca.serve(t, http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }), later, host), fail, stageHTTP, "http: ", "cuts the connection"},
		{"silent", "http", serveRaw(t, func(c net.Conn) { io.Copy(io.Discard, c) }), fail, stageHTTP, "in time", "cuts the connection"},
		{"silent at TLS", "https", serveRaw(t, func(c net.Conn) { io.Copy(io.Discard, c) }), fail, stageTLS, "in time", "inspection"},
		{"not found", "https", ca.serve(t, says(404, "Service"), later, host), fail, stageHTTP, "404: no such tenant", "Check the tenant."},
		{"page not found", "https", ca.serve(t, says(404, "<html>Service"), later, host), fail, stageHTTP, "status 404, but with a web page", "A portal or proxy answers"},
		{"page of a proxy", "https", ca.serve(t, says(200, "<html>blocked</html>"), later, host), fail, stageHTTP, "status 200, but with a web page (HTML)", "A portal or proxy answers"},
		{"text of a proxy", "https", ca.serve(t, says(200, "blocked"), later, host), fail, stageHTTP, "not how the service answers", "web filter"},
		{"unavailable", "https", ca.serve(t, says(503, ""), later, host), fail, stageHTTP, "503", "Try again"},
		{"proxy wants a password", "http", plain(says(407, "")), fail, stageHTTP, "407", "without authentication"},
		{"guest network", "http", plain(says(511, "")), fail, stageHTTP, "511", "sign in there"},
		{"redirected", "http", plain(func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://login.hotel.test/", http.StatusFound)
		}), fail, stageHTTP, "another site", "sign in there"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			p := &prober{hosts: map[string]string{host: tt.dial}, roots: []*x509.Certificate{ca.cert}, system: x509.NewCertPool(), proxy: direct, timeout: 10 * time.Second}
			if strings.HasPrefix(tt.name, "silent") {
				p.timeout = 300 * time.Millisecond
			}
			e := endpoint{Host: traffic.Host{Step: "token", Use: "tests"}, proof: proof{status: 200, text: "service", denial: "no such tenant", hint: "Check the tenant."}}
			r := p.probe(t.Context(), target{endpoint: e, name: host, urls: []string{tt.scheme + "://" + host + "/"}})
			if r.Status != tt.status || r.Stage != tt.stage || !strings.Contains(r.Detail, tt.in) || !strings.Contains(r.Remedy, tt.does) {
				t.Errorf("got %+v", *r.result)
			}
			if (r.Status == pass) != (r.Remedy == "") {
				t.Errorf("%s with remedy %q", r.Status, r.Remedy)
			}
			if r.Temporary != (tt.name == "unavailable") {
				t.Errorf("temporary: %v", r.Temporary)
			}
			e.Need = traffic.Quick
			if r := p.probe(t.Context(), target{endpoint: e, name: host, urls: []string{tt.scheme + "://" + host + "/"}}); (r.Status == fail) != strings.HasPrefix(tt.name, "silent") {
				t.Errorf("quick: %+v", *r.result)
			}
			e.Need = traffic.Minor
			if r := p.probe(t.Context(), target{endpoint: e, name: host, urls: []string{tt.scheme + "://" + host + "/"}}); (r.Status == warn) != (tt.status == fail) {
				t.Errorf("minor: %+v", *r.result)
			}
		})
	}
}

// A portal answers each request with a page. Where only the status tells the service, a
// page is not the service's answer; where nothing is known of the answer, it may be.
func TestPortal(t *testing.T) {
	ca := newCA(t, "Contoso")
	p := &prober{
		hosts: map[string]string{host: ca.serve(t, says(200, "<!DOCTYPE html><title>Welcome</title>"), time.Now().AddDate(0, 1, 0), host)},
		roots: []*x509.Certificate{ca.cert}, system: x509.NewCertPool(), proxy: direct, timeout: 10 * time.Second,
	}
	for i := range endpoints {
		e := endpoints[i]
		want := fail
		if e.proof == (proof{}) {
			want = pass
		}
		e.Need = traffic.Needed
		e.Allow = ""
		if strings.HasPrefix(e.url, "ntp") {
			continue
		}
		r := p.probe(t.Context(), target{endpoint: e, urls: []string{"https://" + host + "/"}})
		if r.Status != want || want == fail && r.Remedy != remedyPortal {
			t.Errorf("%s: %+v", e.url+e.mock, *r.result)
		}
	}
}

// TestTrustedInterceptor checks that a TLS interceptor that the machine trusts is
// recognized by its root.
func TestTrustedInterceptor(t *testing.T) {
	for _, tt := range []struct{ organization, want string }{{"Proxy", warn}, {"DigiCert Inc", pass}} {
		ca := newCA(t, tt.organization)
		p := &prober{hosts: map[string]string{"*": ca.serve(t, says(200, ""), time.Now().AddDate(0, 1, 0), host)}, system: command.Pool([]*x509.Certificate{ca.cert}), proxy: direct, timeout: 10 * time.Second}
		r := p.probe(t.Context(), target{urls: []string{"https://" + host}})
		if r.Status != tt.want || !strings.Contains(r.Issuer, tt.organization) {
			t.Errorf("%s: %+v", tt.organization, *r.result)
		}
	}
}

func TestNoSuchName(t *testing.T) {
	p := &prober{proxy: direct, timeout: 10 * time.Second, resolver: &net.Resolver{PreferGo: true, Dial: func(context.Context, string, string) (net.Conn, error) {
		return nil, errors.New("no network in tests")
	}}}
	for _, scheme := range []string{"https", "ntp"} {
		r := p.probe(t.Context(), target{urls: []string{scheme + "://no-such-name.invalid"}})
		if r.Status != fail || r.Stage != stageDNS || !strings.Contains(r.Remedy, "DNS") {
			t.Errorf("%s: %+v", scheme, *r.result)
		}
	}
}

func TestProxy(t *testing.T) {
	ca := newCA(t, "Contoso")
	service := ca.serve(t, says(200, ""), time.Now().AddDate(0, 1, 0), host)
	connects := func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodConnect || r.Host != host+":443" {
			t.Errorf("the proxy was asked for %s %s", r.Method, r.Host)
		}
		conn, buf, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close()
		to, err := net.Dial("tcp", service)
		if err != nil {
			t.Error(err)
			return
		}
		defer to.Close()
		io.WriteString(conn, "HTTP/1.1 200 OK\r\n\r\n")
		go io.Copy(to, buf)
		io.Copy(conn, to)
	}
	for _, tt := range []struct {
		name, proxy, status, stage, in string
	}{
		{"connects", servePlain(t, http.HandlerFunc(connects)), pass, "", "200"},
		{"wants a password", servePlain(t, says(407, "")), fail, stageProxy, "407"},
		{"is not there", closed(t), fail, stageProxy, "refused"},
	} {
		via := &url.URL{Scheme: "http", Host: tt.proxy}
		p := &prober{roots: []*x509.Certificate{ca.cert}, system: x509.NewCertPool(), proxy: http.ProxyURL(via), timeout: 10 * time.Second}
		r := p.probe(t.Context(), target{urls: []string{"https://" + host}})
		if r.Status != tt.status || r.Stage != tt.stage || !strings.Contains(r.Detail, tt.in) {
			t.Errorf("a proxy that %s: %+v", tt.name, *r.result)
		}
		// A proxy that is not there is one failure, and none of the services behind it.
		proxy, gone := blameProxy(checkProxy(p), []*answer{r, r}), tt.name == "is not there"
		if gone != (proxy.Status == fail) || gone != (r.Status == skip) || gone && (!strings.HasPrefix(proxy.Detail, "the proxy is not reached: nothing listens at "+tt.proxy) ||
			!strings.Contains(proxy.Remedy, "HTTPS_PROXY") || r.Later+r.Remedy+r.Stage != "") {
			t.Errorf("a proxy that %s: %+v, %+v", tt.name, *proxy, *r.result)
		}
	}
}

func TestProxyEnvironment(t *testing.T) {
	for _, tt := range []struct{ proxy, want string }{{"", pass}, {"http://proxy.test:3128", pass}, {"http://me:secret@proxy.test", warn}} {
		p := &prober{proxy: direct}
		if tt.proxy != "" {
			u, err := url.Parse(tt.proxy)
			if err != nil {
				t.Fatal(err)
			}
			p.proxy = http.ProxyURL(u)
		}
		if r := checkProxy(p); r.Status != tt.want || strings.Contains(r.Detail, "secret") {
			t.Errorf("%s: %+v", tt.proxy, *r)
		}
	}
	p := &prober{proxy: func(*http.Request) (*url.URL, error) { return nil, errors.New("bad") }}
	if r := checkProxy(p); r.Status != fail {
		t.Errorf("bad proxy: %+v", *r)
	}
}

// A duration is told in its two largest units.
func TestInWords(t *testing.T) {
	for d, want := range map[time.Duration]string{
		157*time.Hour + 7*time.Minute: "6 days 13 hours", 24 * time.Hour: "1 day", 24*time.Hour + time.Minute: "1 day",
		time.Hour + time.Minute + time.Second: "1 hour 1 minute", 61 * time.Second: "1 minute 1 second", 2 * time.Second: "2 seconds",
	} {
		if got := inWords(d); got != want {
			t.Errorf("%v: %q, want %q", d, got, want)
		}
	}
}

// That a certificate is not valid now is not the clock's fault if that is right.
func TestBlameServices(t *testing.T) {
	for _, status := range []string{pass, warn, fail} {
		a := &answer{result: &result{Status: fail, Remedy: remedyClock, untimely: new(x509.Certificate)}}
		blameServices(&result{Status: status}, []*answer{a})
		if right := strings.HasPrefix(a.Remedy, "This machine's clock is right"); right != (status == pass) {
			t.Errorf("%s: %s", status, a.Remedy)
		}
	}
}

func TestClock(t *testing.T) {
	ca := newCA(t, "Contoso")
	dated := func(off time.Duration) string {
		return ca.serve(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Date", time.Now().Add(off).UTC().Format(http.TimeFormat))
		}), time.Now().AddDate(0, 1, 0), "a.test", "b.test", "c.test")
	}
	half := 30 * time.Second // a Date is rounded to seconds
	right, slow, fast, little := dated(0), dated(-10*time.Minute-half), dated(time.Hour+half), dated(2*time.Minute+half)
	cached := ca.serve(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Date", "Mon, 02 Jan 2006 15:04:05 GMT")
		w.Header().Set("Age", "99")
	}), time.Now().AddDate(0, 1, 0), "c.test")
	for _, tt := range []struct {
		a, b, c, want, in, way string
	}{
		{right, right, right, pass, "right to the second", "as 3"},
		{right, right, cached, pass, "as 2", ""},
		{slow, slow, right, fail, "10 minutes", " fast"},
		{slow, slow, slow, fail, "10 minutes", " fast"},
		{fast, fast, right, fail, "1 hour", " slow"},
		{little, little, little, warn, "2 minutes", " slow"},
		{right, right, slow, warn, "do not agree", ""},
		{closed(t), closed(t), closed(t), warn, "no service", ""},
	} {
		p := &prober{hosts: map[string]string{"a.test": tt.a, "b.test": tt.b, "*": tt.c}, roots: []*x509.Certificate{ca.cert}, system: x509.NewCertPool(), proxy: direct, timeout: 10 * time.Second}
		var targets []target
		for _, name := range []string{"a", "b", "c"} {
			targets = append(targets, target{urls: []string{"https://" + name + ".test/"}})
		}
		r := checkClock(p.probeAll(t.Context(), targets))
		if r.Status != tt.want || !strings.Contains(r.Detail, tt.in) || !strings.Contains(r.Detail, tt.way) {
			t.Errorf("want %s, %s %s: %+v", tt.want, tt.in, tt.way, *r)
		}
	}
}

// ntpAnswer returns the answer of a time server whose clock shows the time at.
func ntpAnswer(at time.Time) []byte {
	b := make([]byte, 48)
	b[0], b[1] = 0x24, 2
	binary.BigEndian.PutUint32(b[40:], uint32(at.Unix()-ntpEpoch))
	binary.BigEndian.PutUint32(b[44:], uint32(int64(at.Nanosecond())<<32/int64(time.Second)))
	return b
}

func TestTimeServer(t *testing.T) {
	for _, tt := range []struct {
		name   string
		answer func() []byte
		want   string
		ahead  time.Duration
	}{
		{"right", func() []byte { return ntpAnswer(time.Now()) }, pass, 0},
		{"ahead", func() []byte { return ntpAnswer(time.Now().Add(time.Hour)) }, pass, time.Hour},
		{"short", func() []byte { return make([]byte, 10) }, fail, 0},
		{"kiss of death", func() []byte { b := ntpAnswer(time.Now()); b[1] = 0; return b }, fail, 0},
		{"no time", func() []byte { b := ntpAnswer(time.Now()); clear(b[40:]); return b }, fail, 0},
	} {
		p := &prober{hosts: map[string]string{"*": serveTime(t, tt.answer)}, timeout: 10 * time.Second}
		r := p.probe(t.Context(), target{urls: []string{"ntp://time.test"}})
		if r.Status != tt.want || r.dated != (tt.want == pass) || (r.ahead-tt.ahead).Abs() > 5*time.Second {
			t.Errorf("%s: %+v, %v", tt.name, *r.result, r.ahead)
		}
		if r.Status == fail && r.Remedy == "" {
			t.Errorf("%s: no remedy", tt.name)
		}
	}
}

func FuzzTransmitted(f *testing.F) {
	f.Add(ntpAnswer(time.Unix(1e9, 5e8)))
	f.Add(make([]byte, 48))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		at, err := transmitted(b)
		if err == nil && (at.Before(time.Unix(-1<<31, 0)) || at.Year() > 2104) {
			t.Error(fmt.Sprint(at))
		}
	})
}
