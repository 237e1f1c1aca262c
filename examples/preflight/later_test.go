package main

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/whiteglove/whiteglove/diagnose"
	"github.com/whiteglove/whiteglove/internal/traffic"
)

// TestLater says of every blocked host what it breaks later, in the order of the flow,
// with a code that package diagnose knows.
func TestLater(t *testing.T) {
	nowhere := "*=" + closed(t)
	_, results := preflightJSON(t, "-host", nowhere)
	for _, r := range results {
		if r.URL != "" && (r.Later == "" || r.Step == "") {
			t.Errorf("%+v", *r)
		}
		if r.Screen != "" && !slices.ContainsFunc(diagnose.Decode(r.Screen), diagnose.Meaning.Known) {
			t.Errorf("%s: nobody knows %q", r.Name, r.Screen)
		}
	}
	if r := results["login.microsoftonline.com"]; r.Screen != "Registering your device for mobile management (Failed: 5, 0x80072EFD)" || r.Page != traffic.PageRegistering {
		t.Errorf("%+v", *r)
	}
	_, stdout, _ := preflight(t, "-host", nowhere)
	rest := stdout
	for _, want := range []string{
		"www.msftconnecttest.com", "later: ", "\n      do:    Nothing listens at the address", "time.windows.com: udp: no time server answers at 127.0.0.1:", "do:    Let UDP port 123 pass",
		"login.live.com", "later: The device gets no ticket", "ztd.dds", "later: ", "\nSecuring your hardware:\n", "ekop.intel.com", "(Failed: 0x81039001).\n", "\nRegistering your device for mobile management:\n",
		"enterpriseregistration", "enrollment.manage", "later: ", "\nDevice setup:\n", "officecdn", "\nAccount setup:\n", "\nAt any time:\n", "ocsp.digicert.com",
	} {
		_, after, found := strings.Cut(rest, want)
		if !found {
			t.Fatalf("%q is not in its place in\n%s", want, stdout)
		}
		rest = after
	}
}

// TestLaterCodes shows the code of the way in which a host is blocked.
func TestLaterCodes(t *testing.T) {
	ca := newCA(t, "Contoso")
	e := endpoint{Host: *traffic.Lookup("enrollment.manage.microsoft.com"), proof: proof{status: 200}}
	ask := func(p *prober, name string) *result {
		p.timeout = 10 * time.Second
		return p.probe(t.Context(), target{endpoint: e, urls: []string{"https://" + name + "/"}}).result
	}
	proxy := func(status int) *prober {
		via := &url.URL{Scheme: "http", Host: servePlain(t, says(status, ""))}
		return &prober{proxy: http.ProxyURL(via)}
	}
	at := func(address string) *prober { return &prober{hosts: map[string]string{"*": address}, proxy: direct} }
	for want, r := range map[string]*result{
		"0x80072EFD": ask(at(closed(t)), "a.test"),
		"0x80190197": ask(proxy(407), "a.test"),
		"0x80190193": ask(proxy(403), "b.test"),
		"0x80072F8F": ask(at(ca.serve(t, says(200, ""), time.Now().AddDate(0, 1, 0), "a.test")), "a.test"),
	} {
		if r.Status != fail || !strings.Contains(r.Screen, "(Failed: 6, "+want+")") {
			t.Errorf("%s: %+v", want, *r)
		}
	}
}

// TestMockLater keeps to what the mock server has.
func TestMockLater(t *testing.T) {
	_, flags := startMock(t)
	code, stdout, _ := preflight(t, append(flags, "-tenant", "unknown.test")...)
	if code != 1 || strings.Count(stdout, "later: ") != 2 || !strings.Contains(stdout, "(Failed: 4, 0x801C000C)") || strings.Count(stdout, "SKIP") > 3 {
		t.Errorf("exit %d\n%s", code, stdout)
	}
	if _, stdout, _ := preflight(t, flags...); strings.Contains(stdout, "later: ") {
		t.Error(stdout)
	}
}
