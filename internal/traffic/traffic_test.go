package traffic

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/iotest"
	"time"
	"unicode/utf8"

	"github.com/whiteglove/whiteglove/internal/hresult"
	"github.com/whiteglove/whiteglove/internal/wide"
)

// TestTable checks the table itself: every row is found by its own name, belongs to a
// step, and every step has hosts, consequences and a source.
func TestTable(t *testing.T) {
	used := map[string]bool{}
	for i := range hosts {
		h := &hosts[i]
		if got := Lookup(strings.ReplaceAll(h.Name, "*", "x-1")); got != h {
			t.Errorf("%s is found as %+v", h.Name, got)
		}
		if h.Use == "" || StepOf(h.Step).Name != h.Step {
			t.Errorf("%+v", h)
		}
		used[h.Step] = true
	}
	for i := range steps {
		s := &steps[i]
		if !used[s.Name] || s.Phase == "" || !strings.HasSuffix(s.Breaks, ".") || !strings.Contains("DCIX", s.Source[:1]) || s.Source[1] != ':' {
			t.Errorf("%+v", s)
		}
		screen := s.Says(hresult.NameNotResolved)
		if strings.ContainsAny(screen, "{}") || screen != "" && !strings.Contains(screen, "0x8") {
			t.Errorf("%s: %s", s.Name, screen)
		}
	}
	for _, name := range []string{"", "manage.microsoft.com", ".manage.microsoft.com", "xlogin.live.com", "login.live.com.evil.example", "blob.core.windows.net"} {
		if h := Lookup(name); h != nil {
			t.Errorf("%q is %s", name, h.Name)
		}
	}
	if h := Lookup("INTC-keyid-01.MicrosoftAIK.azure.net."); h == nil || h.Step != "aik" {
		t.Errorf("%+v", h)
	}
}

func read(t *testing.T, text string) *Capture {
	t.Helper()
	c, err := Read(KindOf(text), strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// summary has a line for each host: step, name, requests, failure, status, inspection.
func summary(c *Capture) string {
	var b strings.Builder
	for _, s := range c.Steps() {
		if len(s.Uses) == 0 {
			fmt.Fprintf(&b, "%s: missing\n", s.Name)
		}
		for _, u := range s.Uses {
			fmt.Fprintf(&b, "%s: %s %d %s|%d|%s\n", s.Name, u.Name, u.Requests, u.Failure, u.Status, u.Inspection)
		}
	}
	return b.String()
}

const squid = `1764320400.500    300 10.0.0.7 TCP_TUNNEL/200 9120 CONNECT login.live.com:443 - HIER_DIRECT/20.1.1.1 -
1764320402.000    100 10.0.0.7 TCP_TUNNEL/200 7000 CONNECT ztd.dds.microsoft.com:443 - HIER_DIRECT/20.1.1.2 -
1764320403.000      0 10.0.0.7 TCP_DENIED/403 3900 CONNECT ekop.intel.com:443 - HIER_NONE/- text/html
1764320404.000      0 10.0.0.7 TCP_DENIED/407 3900 CONNECT intc-keyid-01.microsoftaik.azure.net:443 - HIER_NONE/- text/html
1764320405.000    900 10.0.0.7 TCP_TUNNEL/200 8000 CONNECT intc-keyid-01.microsoftaik.azure.net:443 jane HIER_DIRECT/20.1.1.3 -
1764320406.000     90 10.0.0.7 TCP_TUNNEL/200 39 CONNECT enterpriseregistration.windows.net:443 - HIER_DIRECT/20.1.1.4 -
1764320407.000     90 10.0.0.7 TCP_MISS/200 500 POST https://login.microsoftonline.com/contoso.example/oauth2/token?secret=hunter22 jane HIER_DIRECT/20.1.1.5 -
1764320408.000  60000 10.0.0.7 NONE_NONE/503 0 CONNECT enrollment.manage.microsoft.com:443 - HIER_NONE/- -
1764320409.000     90 10.0.0.7 TCP_MISS/200 500 GET http://intranet.contoso.example/jane - HIER_DIRECT/10.1.1.5 -
`

func TestProxyLog(t *testing.T) {
	c := read(t, squid)
	want := `ticket: login.live.com 1 |0|
profile: ztd.dds.microsoft.com 1 |0|
ek: ekop.intel.com 1 the proxy or firewall refuses it|0|
aik: intc-keyid-01.microsoftaik.azure.net 2 |0|
join: enterpriseregistration.windows.net 1 |0|the tunnel to it was opened, and nothing followed
token: login.microsoftonline.com 1 |200|the proxy reads its requests within TLS
enroll: enrollment.manage.microsoft.com 1 the proxy does not reach it|0|
`
	if got := summary(c); got != want || c.Kind != ProxyLog || c.Others != 1 || c.OtherHosts() != 1 {
		t.Errorf("%s, %d others\n%s", c.Kind, c.Others, got)
	}
	ek := c.Steps()[2]
	if !ek.Begin.Equal(time.Date(2025, 11, 28, 9, 0, 3, 0, time.UTC)) || ek.Uses[0].Failed.Number != 3 {
		t.Errorf("%+v", ek)
	}
	if r := c.Requests[0]; r.End.Sub(r.Begin) != 300*time.Millisecond || r.Got != 9120 || r.Sent != -1 {
		t.Errorf("%+v", r)
	}
	if text := fmt.Sprintf("%+v", c.Requests); strings.Contains(text, "hunter22") || strings.Contains(text, "jane") {
		t.Error(text)
	}
}

func TestCommonLog(t *testing.T) {
	c := read(t, `10.0.0.7 - - [28/Nov/2026:11:00:10 +0200] "CONNECT login.live.com:443 HTTP/1.1" 200 5000
10.0.0.7 - jane [28/Nov/2026:11:00:12 +0200] "CONNECT ekop.intel.com:443 HTTP/1.1" 403 - "-" "agent"
10.0.0.7 - - [28/Nov/2026:11:00:13 +0200] "CONNECT ekop.intel.com:443 HTTP/1.1" 407 12
10.0.0.7 - - [28/Nov/2026:11:00:14 +0200] "GET http://ocsp.digicert.com/x HTTP/1.1" 200 120
10.0.0.7 - - [32/Nov/2026:11:00:14 +0200] "GET http://ocsp.digicert.com/x HTTP/1.1" 200 120
`)
	want := "ticket: login.live.com 1 |0|\nek: ekop.intel.com 2 the proxy asks for authentication|0|\nrevocation: ocsp.digicert.com 1 |200|\n"
	if got := summary(c); got != want || !c.Uses[0].First.Equal(time.Date(2026, 11, 28, 9, 0, 10, 0, time.UTC)) {
		t.Errorf("%v\n%s", c.Uses[0].First, got)
	}
}

// TestHostList reads the time line of an annotated capture, as people write it down.
func TestHostList(t *testing.T) {
	c := read(t, "# minutes:seconds host\n00:10 login.live.com\n00:12 ztd.dds.microsoft.com unique device id\n02:01 enterpriseregistration.windows.net\n02:10 msua01.manage.microsoft.com\n\n02:30 ekop.intel.com blocked\n")
	if got := summary(c); got != "ticket: login.live.com 1 |0|\nprofile: ztd.dds.microsoft.com 1 |0|\nek: ekop.intel.com 1 the proxy or firewall refuses it|0|\naik: missing\njoin: enterpriseregistration.windows.net 1 |0|\nprovider: msua01.manage.microsoft.com 1 |0|\n" || !c.Undated {
		t.Errorf("%v\n%s", c.Undated, got)
	}
	for line, want := range map[string]Failure{
		"2026-11-28T09:00:11Z ekop.intel.com": "", "2026-11-28 09:00:11 ekop.intel.com:443 407": NoUser, "09:00:11 ekop.intel.com 403": Denied, "1764320403.5 ekop.intel.com no answer": NoAnswer,
		"09:00:11,ekop.intel.com,": "", "09:00 ekop.intel.com asks for the certificate of the TPM": "", "9:11\tekop.intel.com\treset": Reset,
	} {
		e := parseListed(line)
		if e == nil || e.failed() != want {
			t.Errorf("%q: %+v", line, e)
		}
	}
	for _, line := range []string{"", "x", "09:00 host", "09:00 a..b", "25:00:00 a.example", "2026-11-28 09:00:00, Info", "09:00 1.5", "12 a.example"} {
		if e := parseListed(line); e != nil {
			t.Errorf("%q: %+v", line, e)
		}
	}
}

// har returns an archive of entries.
func har(entries ...string) string {
	return `{"log":{"version":"1.2","creator":{"name":"x"},"pages":[{"title":"log"}],"entries":[` + strings.Join(entries, ",") + `],"comment":""}}`
}

// harOf returns an entry.
func harOf(second int, method, url string, status int, more string) string {
	return fmt.Sprintf(`{"startedDateTime":"2026-11-28T09:00:%02d.000Z","time":120.5,"request":{"method":%q,"url":%q,"bodySize":3,"headers":[{"name":"Authorization","value":"Bearer hunter22"}],"postData":{"text":"hunter22"}},"response":{"status":%d,"bodySize":7,"content":{"text":"hunter22"}%s}}`, second, method, url, status, more)
}

func TestHAR(t *testing.T) {
	c := read(t, har(
		harOf(1, "CONNECT", "login.live.com:443", 200, ""),
		harOf(2, "POST", "https://login.live.com/RST2.srf?t=hunter22", 200, `,"_securityDetails":{"issuer":"Microsoft Azure RSA TLS Issuing CA 03"}`),
		harOf(3, "CONNECT", "http://ztd.dds.microsoft.com:443", 200, ""),
		harOf(4, "GET", "https://ekop.intel.com/ekcertservice/x", 0, `,"_error":"net::ERR_NAME_NOT_RESOLVED"`),
		harOf(5, "GET", "https://ftpm.amd.com/pki/aia/x", 502, `,"statusText":"Fiddler - DNS Lookup Failed"`),
		harOf(6, "GET", "https://intc-keyid-01.microsoftaik.azure.net/templates/Aik/scep?operation=GetCACaps", 404, ""),
		harOf(7, "GET", "https://enterpriseregistration.windows.net/contoso/Discover?api-version=1.9", 200, `,"_securityDetails":{"issuer":"Contoso Outbound CA"}`),
		harOf(8, "GET", "https://enrollment.manage.microsoft.com/", 403, `,"headers":[{"name":"X-Squid-Error","value":"ERR_ACCESS_DENIED 0"}]`),
		harOf(9, "GET", "https://portal.manage.microsoft.com/", 0, ""),
		harOf(10, "GET", "https://aadcdn.msauth.net/", 200, `,"_securityDetails":{"issuer":"DO_NOT_TRUST_FiddlerRoot"}`),
		harOf(11, "GET", "https://jane.contoso.example/", 200, ""), `{"startedDateTime":7}`, `7`,
	))
	want := `ticket: login.live.com 2 |200|
profile: ztd.dds.microsoft.com 1 |0|the tunnel to it was opened, and nothing followed
ek: ekop.intel.com 1 its name is not resolved|0|
ek: ftpm.amd.com 1 its name is not resolved|0|
aik: intc-keyid-01.microsoftaik.azure.net 1 |404|
join: enterpriseregistration.windows.net 1 |200|its certificate was issued by a CA that is not known for these services
token: missing
enroll: enrollment.manage.microsoft.com 1 the proxy or firewall refuses it|0|
enroll: portal.manage.microsoft.com 1 it does not answer|0|
signin: aadcdn.msauth.net 1 |200|its certificate was issued by a proxy
`
	if got := summary(c); got != want || c.Kind != HAR || c.Others != 1 {
		t.Errorf("%d others\n%s", c.Others, got)
	}
	if text := fmt.Sprintf("%+v", c.Requests); strings.Contains(text, "hunter22") || !strings.Contains(text, "Capabilities:true") {
		t.Error(text)
	}
	if a, b := c.Requests[0], c.Requests[1]; a.Got != -1 || b.Got != 7 || b.Sent != 3 || b.End.Sub(b.Begin) != 120*time.Millisecond {
		t.Errorf("%+v\n%+v", a, b)
	}
}

// TestOutcome takes the last outcome of a host, by the begin of its requests, and none
// of a request that a browser gave up itself.
func TestOutcome(t *testing.T) {
	for name, c := range map[string]struct{ in, want string }{
		"a tunnel that is open while another is refused": {
			"1764320402.000      0 10.0.0.7 TCP_DENIED/403 3900 CONNECT login.live.com:443 - HIER_NONE/- -\n1764320409.000   9000 10.0.0.7 TCP_TUNNEL/200 9000 CONNECT login.live.com:443 - HIER_DIRECT/20.1.1.1 -\n",
			"ticket: login.live.com 2 the proxy or firewall refuses it|0|\n",
		},
		"a log that does not count the bytes of tunnels": {
			"1764320402.000      9 10.0.0.7 TCP_TUNNEL/200 0 CONNECT login.live.com:443 - HIER_DIRECT/20.1.1.1 -\n",
			"ticket: login.live.com 1 |0|\n",
		},
		"a tunnel with a scheme": {
			"1764320402.000      9 10.0.0.7 TCP_TUNNEL/200 9000 CONNECT https://login.live.com:443 - HIER_DIRECT/20.1.1.1 -\n",
			"ticket: login.live.com 1 |0|\n",
		},
		"a refusal of the host itself": {
			har(harOf(1, "GET", "https://login.live.com/", 403, `,"statusText":"Forbidden"`), harOf(2, "GET", "https://ztd.dds.microsoft.com/", 200, `,"headers":[{"name":"Proxy-Agent"}]`)),
			"ticket: login.live.com 1 |403|\nprofile: ztd.dds.microsoft.com 1 |200|\n",
		},
		"an error without a word for it": {
			har(harOf(1, "GET", "https://login.live.com/", 0, `,"_error":"net::ERR_FAILED"`), harOf(2, "GET", "https://ztd.dds.microsoft.com/", 200, `,"_error":"net::ERR_FAILED"`)),
			"ticket: login.live.com 1 it does not answer|0|\nprofile: ztd.dds.microsoft.com 1 |200|\n",
		},
		"given up": {
			har(harOf(1, "GET", "https://login.live.com/", 200, ""), harOf(2, "GET", "https://login.live.com/", 0, `,"_error":"net::ERR_ABORTED"`)),
			"ticket: login.live.com 2 |0|\n",
		},
	} {
		if got := summary(read(t, c.in)); got != c.want {
			t.Errorf("%s: %s", name, got)
		}
	}
}

// TestHostileHAR has times beyond all bounds or none, and a name that controls a
// terminal.
func TestHostileHAR(t *testing.T) {
	entry := `{"startedDateTime":"%s","time":1e300,"request":{"method":"GET","url":"https://login.live.com/"},"response":{"status":1e99,"_securityDetails":{"issuer":"\u001b[31mContoso\n` + strings.Repeat("ä", maxIssuer) + `"}}}`
	c := read(t, har(fmt.Sprintf(entry, "9999-01-01T00:00:00Z"), fmt.Sprintf(entry, "2026-11-28T09:00:00Z"), fmt.Sprintf(entry, "0001-01-01T00:00:00Z"), fmt.Sprintf(entry, "")))
	u := c.Uses[0]
	if u.First.Year() != 1970 || u.Last.Year() != 2026 || u.Status != 999 || !strings.HasPrefix(u.Issuer, "[31mContosoä") || len(u.Issuer) > maxIssuer || !utf8.ValidString(u.Issuer) {
		t.Errorf("%+v", u)
	}
}

func TestDamagedHAR(t *testing.T) {
	whole := har(harOf(1, "GET", "https://login.live.com/", 200, ""), harOf(2, "GET", "https://ztd.dds.microsoft.com/", 200, ""))
	c, err := Read(HAR, strings.NewReader(whole[:len(whole)-100]))
	if err == nil || len(c.Uses) != 1 {
		t.Errorf("%v %s", err, summary(c))
	}
	for _, text := range []string{"", "{", "[]", `{"log":[]}`, `{"log":{}}`, `{"log":{"entries":{}}}`, `{"x":1}`} {
		if _, err := Read(HAR, strings.NewReader(text)); err == nil {
			t.Errorf("%s is taken", text)
		}
	}
}

// TestLimits keeps what it can, and counts the rest.
func TestLimits(t *testing.T) {
	var b strings.Builder
	for i := range maxRequests + 10 {
		fmt.Fprintf(&b, "00:10 x%d.manage.microsoft.com\n", i%(maxUses+5))
		if i < maxOthers+10 {
			fmt.Fprintf(&b, "00:10 x%d.example\n", i)
		}
	}
	c, err := Read(HostList, strings.NewReader(b.String()))
	if err != nil || len(c.Requests)+c.Lost != maxRequests+10 || len(c.Uses) != maxUses || c.Lost == 0 || c.OtherHosts() != maxOthers || c.Others != maxOthers+10 {
		t.Errorf("%v: %d requests, %d hosts, %d lost, %d others", err, len(c.Requests), len(c.Uses), c.Lost, c.OtherHosts())
	}
	c, err = Read(HostList, strings.NewReader(strings.Repeat("00:10 login.live.com\n", maxRequests+1)))
	if err != nil || len(c.Requests) != maxRequests || c.Lost != 1 || c.Uses[0].Requests != maxRequests+1 {
		t.Errorf("%v: %d requests, %d lost", err, len(c.Requests), c.Lost)
	}
	long := "00:10 login.live.com " + strings.Repeat("x", 3*wide.MaxLine) + "\n00:11 ztd.dds.microsoft.com\n"
	if c := read(t, long); summary(c) != "ticket: login.live.com 1 |0|\nprofile: ztd.dds.microsoft.com 1 |0|\n" {
		t.Error(summary(c))
	}
}

// TestLargeHAR passes over bodies of any length, but not over entries of so much else.
func TestLargeHAR(t *testing.T) {
	after := harOf(2, "GET", "https://ztd.dds.microsoft.com/", 200, "")
	for _, unit := range []string{"x", `\n`, `\"`, `\\`, `\u00e4`, "ä", `"`} {
		text := strings.Repeat(unit, 3*wide.MaxLine)
		if unit == `"` {
			text = strings.Repeat(`","`, 40)
		}
		c, err := Read(HAR, iotest.HalfReader(strings.NewReader(har(harOf(1, "GET", "https://login.live.com/", 200, `,"text":["`+text+`"]`), after))))
		if err != nil || len(c.Uses) != 2 {
			t.Errorf("%s: %v %s", unit, err, summary(c))
		}
	}
	var texts [maxEntry / wide.MaxLine]string
	for i := range texts {
		texts[i] = strings.Repeat("x", wide.MaxLine)
	}
	c, err := Read(HAR, strings.NewReader(har(after, `{"a":["`+strings.Join(texts[:], `","`)+`"]}`)))
	if !errors.Is(err, ErrLimit) || len(c.Uses) != 1 {
		t.Errorf("%v %s", err, summary(c))
	}
}

func TestStopped(t *testing.T) {
	for list, want := range map[string]string{
		"00:10 login.live.com\n00:11 ztd.dds.microsoft.com\n":                                 "profile aik",
		"00:10 login.live.com\n00:11 ztd.dds.microsoft.com\n00:12 x.microsoftaik.azure.net\n": "aik join",
		"00:10 login.live.com\n00:12 login.microsoftonline.com\n":                             "token enroll",
		"00:10 login.live.com\n00:12 enrollment.manage.microsoft.com\n":                       "",
		"00:10 login.live.com\n00:12 x.manage.microsoft.com\n":                                "",
		"00:10 login.microsoftonline.com\n":                                                   "",
	} {
		got := ""
		if last, next := read(t, list).Stopped(); last != nil {
			got = last.Name + " " + next.Name
		}
		if got != want {
			t.Errorf("%q: %q", list, got)
		}
	}
}

func TestKindOf(t *testing.T) {
	for text, want := range map[string]string{
		"": "", "{": "", " { \"log\" : {": HAR, `{"CloudAssigned":1}`: "", squid[:200]: ProxyLog, "00:10 a.example": HostList, "00:10 a.example\nelse": "",
		"2026-11-28 09:00:11 DENY 10.0.0.7 -> ekop.intel.com:443 blocked": "", "2026-11-28T09:00:11Z CONNECT ekop.intel.com:443 denied\n": "",
	} {
		if got := KindOf(text); got != want {
			t.Errorf("%.40q: %q", text, got)
		}
	}
	line := "00:10 login.live.com 00 ignored remark\n"
	for length, want := range map[int]string{2000: "", 2001: HostList} { // with a line that was cut
		if got := KindOf(strings.Repeat(line, length/len(line)) + strings.Repeat("x", length%len(line))); got != want || length%len(line) == 0 {
			t.Errorf("%d: %q", length, got)
		}
	}
}

// FuzzRead gives foreign bytes to each reader. What it shows is within the limits, of
// the table, and the same each time; nothing of a URL is left.
func FuzzRead(f *testing.F) {
	for _, text := range []string{squid, "00:10 login.live.com\n9:11\tekop.intel.com\treset\n2026-11-28 09:00:11 ekop.intel.com:443 407\n", har(harOf(1, "CONNECT", "login.live.com:443", 200, ""), harOf(2, "GET", "https://ekop.intel.com/x", 0, `,"_error":"dns"`))} {
		f.Add(text)
	}
	f.Add(`10.0.0.7 - - [28/Nov/2026:11:00:10 +0200] "CONNECT login.live.com:443 HTTP/1.1" 200 5000`)
	f.Fuzz(func(t *testing.T, text string) {
		for _, kind := range []string{HAR, ProxyLog, HostList, KindOf(text)} {
			c, err := Read(kind, strings.NewReader(text))
			again, err2 := Read(kind, strings.NewReader(text))
			if summary(c) != summary(again) || fmt.Sprint(err) != fmt.Sprint(err2) {
				t.Fatalf("%s: %v %v", kind, err, err2)
			}
			for _, u := range c.Uses {
				if Lookup(u.Name) != u.Host || u.Requests < 1 || u.Number < 1 || len(u.Issuer) > maxIssuer || u.Last.Before(u.First) {
					t.Errorf("%+v", u)
				}
			}
			for _, r := range c.Requests {
				if r.Status < 0 || r.Status > 999 || r.Sent < -1 || r.Got < -1 || r.End.Before(r.Begin) || len(r.Method) > 7 {
					t.Errorf("%+v", r)
				}
			}
			c.Stopped()
		}
	})
}
