package traffic

import (
	"fmt"
	"net/url"
	"strings"
	"testing"

	"github.com/whiteglove/whiteglove/internal/wide"
)

// TestBounds has entries at the bounds of what is taken.
func TestBounds(t *testing.T) {
	for year, kept := range map[int]bool{1969: false, 1970: true, 2100: true, 2101: false} {
		c := read(t, fmt.Sprintf("%d-06-01T09:00:00Z login.live.com\n", year))
		if got := c.Uses[0].First; (got.Year() == year) != kept || !kept && got.Unix() != 0 {
			t.Errorf("%d: %v", year, got)
		}
	}
	for status, want := range map[int]Failure{399: "", 400: Denied, 407: NoUser, 499: Denied, 500: Unreached} {
		if e := (&entry{method: "CONNECT", status: status}); e.failed() != want {
			t.Errorf("CONNECT %d: %s", status, e.failed())
		}
		if e := (&entry{method: "GET", status: status}); e.failed() != "" && status != 407 {
			t.Errorf("GET %d: %s", status, e.failed())
		}
	}
	label := strings.Repeat("a", 63)
	long := strings.Repeat(label+".", 3) + strings.Repeat("a", 61) + ".b"
	for name, want := range map[string]bool{label + ".b": true, label + "a.b": false, long: true, "a" + long: false, strings.Repeat(label+".", 3) + strings.Repeat("a", 62) + ".b": false, "a.1": false, "a": false, "192.0.2.1": true, "a b.c": false} {
		if isHost(name) != want {
			t.Errorf("%s (%d)", name, len(name))
		}
	}
	if target("https://login.live.com/"+strings.Repeat("x", wide.MaxLine)) != nil || target("https://login.live.com/"+strings.Repeat("x", wide.MaxLine-23)) == nil {
		t.Error("length of a URL")
	}
	c := read(t, "10:00 login.live.com\n00:05 ztd.dds.microsoft.com\n23:59:58 www.bing.com\n")
	if c.Uses[0].First.Unix() != 5 || c.Uses[1].First.Unix() != 600 || c.Uses[2].First.Unix() != 86398 {
		t.Errorf("%v %v %v", c.Uses[0].First, c.Uses[1].First, c.Uses[2].First)
	}
}

// TestTunnels takes a tunnel for silent only where others show what they passed.
func TestTunnels(t *testing.T) {
	tunnel := harOf(1, "CONNECT", "login.live.com:443", 200, "")
	for name, c := range map[string]struct {
		in     string
		silent bool
	}{
		"an archive without TLS":        {har(tunnel, harOf(2, "GET", "http://ocsp.digicert.com/", 200, "")), false},
		"an archive with failed TLS":    {har(tunnel, harOf(2, "GET", "https://ztd.dds.microsoft.com/", 0, "")), false},
		"an archive with TLS":           {har(tunnel, harOf(2, "GET", "https://ztd.dds.microsoft.com/", 200, "")), true},
		"an archive with TLS elsewhere": {har(tunnel, harOf(2, "GET", "https://x.example/", 200, "")), false},
		"999 bytes":                     {"1764320402.000 9 10.0.0.7 TCP_TUNNEL/200 999 CONNECT login.live.com:443 - X/- -\n1764320402.000 9 10.0.0.7 TCP_TUNNEL/200 1000 CONNECT ztd.dds.microsoft.com:443 - X/- -\n", true},
		"0 bytes":                       {"1764320402.000 9 10.0.0.7 TCP_TUNNEL/200 0 CONNECT login.live.com:443 - X/- -\n1764320402.000 9 10.0.0.7 TCP_TUNNEL/200 1000 CONNECT ztd.dds.microsoft.com:443 - X/- -\n", true},
		"1000 bytes":                    {"1764320402.000 9 10.0.0.7 TCP_TUNNEL/200 1000 CONNECT login.live.com:443 - X/- -\n", false},
		"one of two":                    {"1764320402.000 9 10.0.0.7 TCP_TUNNEL/200 39 CONNECT login.live.com:443 - X/- -\n1764320402.000 9 10.0.0.7 TCP_TUNNEL/200 9000 CONNECT login.live.com:443 - X/- -\n", false},
		"bytes that are not known":      {`10.0.0.7 - - [28/Nov/2026:11:00:10 +0200] "CONNECT login.live.com:443 HTTP/1.1" 200 -` + "\n" + `10.0.0.7 - - [28/Nov/2026:11:00:10 +0200] "CONNECT ztd.dds.microsoft.com:443 HTTP/1.1" 200 5000` + "\n", false},
		"a failure after it":            {"1764320402.000 9 10.0.0.7 TCP_TUNNEL/200 39 CONNECT login.live.com:443 - X/- -\n1764320403.000 9 10.0.0.7 TCP_DENIED/403 39 CONNECT login.live.com:443 - X/- -\n1764320402.000 9 10.0.0.7 TCP_TUNNEL/200 9000 CONNECT ztd.dds.microsoft.com:443 - X/- -\n", false},
	} {
		if got := summary(read(t, c.in)); strings.Contains(got, whySilent) != c.silent {
			t.Errorf("%s: %s", name, got)
		}
	}
}

func TestSquid(t *testing.T) {
	for line, want := range map[string]Failure{
		"TCP_MISS/503 9000 GET http://ocsp.digicert.com/ - HIER_DIRECT/192.0.2.1 -": "", "TCP_MISS/503 9000 GET http://ocsp.digicert.com/ - HIER_NONE/- -": Unreached,
		"TCP_MISS/502 9000 GET http://ocsp.digicert.com/ - HIER_NONE/- -": Unreached, "TCP_MISS/501 9000 GET http://ocsp.digicert.com/ - HIER_NONE/- -": "",
		"TCP_MISS/000 0 GET http://ocsp.digicert.com/ - HIER_DIRECT/- -": Reset, "NONE_NONE/000 0 CONNECT ocsp.digicert.com:443 - HIER_NONE/- -": NoAnswer,
		"TCP_MISS_ABORTED/200 999 GET http://ocsp.digicert.com/ - HIER_DIRECT/- -": Reset, "TCP_MISS_ABORTED/200 1000 GET http://ocsp.digicert.com/ - HIER_DIRECT/- -": "",
		"TCP_MISS/407 9 GET http://ocsp.digicert.com/ - HIER_NONE/- -": NoUser,
	} {
		e := parseLog("1764320402.000 9 10.0.0.7 " + line)
		if e == nil || e.failed() != want {
			t.Errorf("%s: %+v", line, e)
		}
	}
}

func TestFailures(t *testing.T) {
	for text, want := range map[string]Failure{
		"": "", "net::ERR_NAME_NOT_RESOLVED": NoName, "net::ERR_CONNECTION_REFUSED": NoConnect, "net::ERR_CONNECTION_TIMED_OUT": NoAnswer, "net::ERR_CONNECTION_RESET": Reset, "net::ERR_EMPTY_RESPONSE": Reset,
		"net::ERR_CERT_AUTHORITY_INVALID": BadTLS, "net::ERR_SSL_PROTOCOL_ERROR": BadTLS, "net::ERR_TUNNEL_CONNECTION_FAILED": Denied, "net::ERR_PROXY_AUTH_UNSUPPORTED": NoUser, "503": Unreached, "fine": "",
	} {
		if got := failureOf(text); got != want {
			t.Errorf("%s: %s", text, got)
		}
	}
	codes := map[uint32]Failure{}
	for _, f := range []Failure{NoName, NoAnswer, NoConnect, Reset, BadTLS, Denied, NoUser} {
		codes[f.Code()] = f
	}
	if len(codes) != 7 || codes[0] != "" || Failure("").Code() != 0 || Unreached.Code() != NoConnect.Code() {
		t.Errorf("%x", codes)
	}
}

// TestPurpose finds each row of the table by its part, if none before fits.
func TestPurpose(t *testing.T) {
	for _, p := range purposes {
		u, err := url.Parse("https://a.test/x" + strings.Replace("/"+p.part, "/operation", "?operation", 1))
		if err != nil {
			t.Fatal(err)
		}
		if got := Purpose(u); got != p.why {
			t.Errorf("%s: %s", u, got)
		}
	}
	if got := Purpose(&url.URL{Path: "/x"}); got != "" {
		t.Error(got)
	}
}

func TestUse(t *testing.T) {
	c := read(t, har(
		harOf(1, "GET", "https://login.live.com/", 0, ""), harOf(2, "GET", "https://login.live.com/", 0, ""),
		harOf(3, "GET", "https://ztd.dds.microsoft.com/", 400, ""), harOf(9, "GET", "https://cs.dds.microsoft.com/", 399, ""), harOf(4, "GET", "https://cs.dds.microsoft.com/", 0, "")))
	steps := c.Steps()
	ticket, profile := steps[0].Uses[0], steps[1].Uses
	if ticket.Failed.Number != 1 || ticket.Failure != NoAnswer || ticket.Refused.Number != 0 || profile[0].Refused.Number != 3 || profile[1].Refused.Number != 0 || profile[1].Status != 399 {
		t.Errorf("%+v\n%+v\n%+v", ticket, profile[0], profile[1])
	}
	if s := steps[1]; s.Begin.Second() != 3 || s.End.Second() != 9 || profile[1].Number != 5 {
		t.Errorf("%v %v", s.Begin, s.End)
	}
	if got := StepOf("ek").Hosts(); len(got) != 4 || got[0] != "ekop.intel.com" {
		t.Errorf("%v", got)
	}
	if s := StepOf("push"); s.Later(1) != s.Breaks {
		t.Error(s.Later(1))
	}
	if s := StepOf("token"); s.Later(0x80072EE7) != s.Breaks+" The screen then shows: Registering your device for mobile management (Failed: 5, 0x80072EE7)." {
		t.Error(s.Later(0x80072EE7))
	}
	if s := StepOf("nothing"); *s != (Step{}) {
		t.Errorf("%+v", s)
	}
}

func TestLines(t *testing.T) {
	for bytes, want := range map[string]int{"5000": 5000, "-": -1} {
		if e := parseLog(`10.0.0.7 - - [28/Nov/2026:11:00:10 +0200] "GET http://a.example/ HTTP/1.1" 200 ` + bytes); e.got != want || e.status != 200 {
			t.Errorf("%+v", e)
		}
	}
	for rest, want := range map[string]entry{
		"99": {}, "100": {status: 100}, "999": {status: 999}, "1000": {}, "403": {failure: Denied}, "connection reset by peer": {failure: Reset}, "the connection reset by peer": {},
	} {
		if e := parseListed("1000000000 a.example " + rest); e.status != want.status || e.failure != want.failure || e.begin.Unix() != 1e9 {
			t.Errorf("%s: %+v", rest, e)
		}
	}
}
