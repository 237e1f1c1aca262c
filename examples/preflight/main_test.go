package main

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/whiteglove/whiteglove/attest/attesttest"
	"github.com/whiteglove/whiteglove/examples/internal/exampletest"
	"github.com/whiteglove/whiteglove/provision/provisiontest"
)

// preflight runs the program.
func preflight(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	return exampletest.Run(t, program(), args...)
}

// preflightJSON runs the program with -json, and returns the results by name.
func preflightJSON(t *testing.T, args ...string) (code int, results map[string]*result) {
	t.Helper()
	code, stdout, stderr := preflight(t, append(args, "-json")...)
	if stderr != "" {
		t.Fatalf("exit %d: %s", code, stderr)
	}
	results = make(map[string]*result)
	for dec := json.NewDecoder(strings.NewReader(stdout)); ; {
		r := new(result)
		err := dec.Decode(r)
		if err == io.EOF {
			return code, results
		}
		if err != nil {
			t.Fatal(err)
		}
		results[r.Name] = r
		if (r.Status == warn || r.Status == fail) && r.Remedy == "" {
			t.Errorf("%s: no remedy: %s", r.Name, r.Detail)
		}
	}
}

// startMock starts a mock server with faults, and returns the flags that name it.
func startMock(t *testing.T, faults ...string) (*provisiontest.Server, []string) {
	t.Helper()
	s := new(provisiontest.Server)
	for _, text := range faults {
		f, err := provisiontest.ParseFault(text)
		if err != nil {
			t.Fatal(err)
		}
		s.Faults = append(s.Faults, f)
	}
	exampletest.StartMock(t, s)
	return s, []string{"-timeout", "1m", "-server", s.URL, "-roots", exampletest.Roots(t, s.Roots[0])}
}

func TestMock(t *testing.T) {
	s, flags := startMock(t)
	code, results := preflightJSON(t, append(flags, "-tpm", "soft")...)
	if code != 0 {
		t.Errorf("exit %d", code)
	}
	asked := 0
	for _, r := range results {
		if r.URL == "" {
			continue
		}
		asked++
		if !strings.HasPrefix(r.URL, s.URL) || r.Status != pass {
			t.Errorf("%+v", *r)
		}
	}
	if asked != 5 {
		t.Errorf("%d services were asked", asked)
	}
	for _, name := range []string{"proxy", "clock", "firmware", "lockout", "hierarchies", "ek", "ek-certificate", "ek-chain", "make-key", "certify-key", "use-ek"} {
		if r := results[name]; r == nil || r.Status != pass {
			t.Errorf("%s: %+v", name, r)
		}
	}
	if r := results["version"]; r.Status != warn || !strings.Contains(r.Detail, "TPM 2.0") {
		t.Errorf("an emulator is not a TPM for real services: %+v", *r)
	}
	if r := results["login.live.com"]; r.Status != skip {
		t.Errorf("%+v", *r)
	}
}

// What a mock server does not have is told in one line.
func TestMockText(t *testing.T) {
	_, flags := startMock(t)
	code, stdout, _ := preflight(t, flags...)
	if code != 0 || strings.Count(stdout, "the mock server has no such service") != 1 || strings.Count(stdout, "\n") > 15 {
		t.Errorf("exit %d\n%s", code, stdout)
	}
}

func TestMockRefuses(t *testing.T) {
	_, flags := startMock(t)
	flags = append(flags, "-tenant", "unknown.test")
	code, stdout, _ := preflight(t, flags...)
	if code != 1 || !strings.Contains(stdout, "-tenant") || !strings.Contains(stdout, "FAIL") {
		t.Errorf("exit %d\n%s", code, stdout)
	}
}

// TestOtherRoots tells of roots that are another server's.
func TestOtherRoots(t *testing.T) {
	s, flags := startMock(t)
	for want, root := range map[string]*x509.Certificate{
		"has a root ":                        startOther(t),
		"has none of the server's issuers. ": newCA(t, "Contoso").cert,
	} {
		file := exampletest.Roots(t, root)
		code, results := preflightJSON(t, append(flags, "-roots", file)...)
		for _, r := range results {
			if strings.HasPrefix(r.URL, s.URL) && (code != 1 || r.Stage != stageTLS || !strings.Contains(r.Detail, "neither this machine nor -roots vouches for") ||
				!strings.HasPrefix(r.Remedy, "The file "+file+" (-roots) "+want) || strings.Contains(r.Detail+r.Remedy, "TLS inspection?")) {
				t.Errorf("exit %d: %+v", code, *r)
			}
		}
	}
}

// startOther starts another mock server and returns its root.
func startOther(t *testing.T) *x509.Certificate {
	t.Helper()
	s, _ := startMock(t)
	return s.Roots[0]
}

// TestMockTime checks that wrong certificates and wrong clocks are told apart.
func TestMockTime(t *testing.T) {
	for _, tt := range []struct {
		faults []string
		clock  string // status of the check of the clock
		says   string // part of its detail
		others string // status of the services with the fault
		stage  string // their stage
		in     string // part of their details
	}{
		{[]string{"tls:expired:all"}, warn, "the certificate of 1 host expired on ", fail, stageTLS, "its certificate expired on "},
		{[]string{"tls:skew:all"}, warn, "the certificate of 1 host is not valid before ", fail, stageTLS, "its certificate is not valid before "},
		{[]string{"ek:skew:all", "discover:skew:all"}, fail, "slow, as 4 services", pass, "", ""},
		{[]string{"ek:expired:all", "discover:expired:all"}, fail, "fast, as 4 services", pass, "", ""},
		{[]string{"ek:skew:all"}, warn, "do not agree", pass, "", ""},
	} {
		s, flags := startMock(t, tt.faults...)
		code, results := preflightJSON(t, flags...)
		if r := results["clock"]; code != 1 && tt.clock == fail || r.Status != tt.clock || !strings.Contains(r.Detail, tt.says) || !strings.Contains(strings.ToLower(r.Remedy), "clock") {
			t.Errorf("%v: exit %d: %+v", tt.faults, code, *r)
		}
		for _, r := range results {
			if !strings.HasPrefix(r.URL, s.URL) {
				continue
			}
			if r.Status != tt.others || r.Stage != tt.stage || !strings.Contains(r.Detail, tt.in) || r.Status == fail && !strings.Contains(r.Remedy, "clock") {
				t.Errorf("%v: %+v", tt.faults, *r)
			}
		}
	}
}

// internet answers the requests that preflight makes of real services as those
// do.
func internet(w http.ResponseWriter, r *http.Request) {
	switch r.Host {
	case "www.msftconnecttest.com":
		io.WriteString(w, "Microsoft Connect Test")
	case "ekop.intel.com":
		http.Error(w, "Certificate not found", http.StatusNotFound)
	case "ftpm.amd.com":
		http.NotFound(w, r)
	case "ekcert.spserv.microsoft.com":
		w.WriteHeader(http.StatusMethodNotAllowed)
	case "login.microsoftonline.com":
		io.WriteString(w, `{"token_endpoint":"https://login.microsoftonline.com/common/oauth2/token"}`)
	case "enterpriseregistration.windows.net":
		io.WriteString(w, `{"DeviceJoinService":{}}`)
	case "enrollment.manage.microsoft.com":
	case "go.microsoft.com":
		http.Redirect(w, r, "https://download.microsoft.com/download/TrustedTPM.cab", http.StatusFound)
	case "www.microsoft.com":
		io.WriteString(w, "0\x82...Microsoft TPM Root Certificate Authority 2014...")
	default:
		if strings.HasSuffix(r.Host, ".microsoftaik.azure.net") {
			io.WriteString(w, "POSTPKIOperation\r\nIdentityKeyAttestation\r\n")
			return
		}
		http.NotFound(w, r)
	}
}

// fakeInternet returns flags with which every host is at the loopback interface.
// aik is the host of the TPM's attestation CA.
func fakeInternet(t *testing.T, aik string) []string {
	t.Helper()
	ca := newCA(t, "Contoso")
	hosts := map[string]string{aik: "https"}
	names := []string{aik}
	for _, e := range endpoints {
		u, err := url.Parse(strings.ReplaceAll(e.url, authority, "x"))
		if err != nil {
			t.Fatal(err)
		}
		if u.Hostname() != "" {
			hosts[u.Hostname()] = u.Scheme
			names = append(names, u.Hostname())
		}
	}
	at := map[string]string{
		"https": ca.serve(t, http.HandlerFunc(internet), time.Now().AddDate(0, 1, 0), names...),
		"http":  servePlain(t, http.HandlerFunc(internet)),
		"ntp":   serveTime(t, func() []byte { return ntpAnswer(time.Now()) }),
	}
	flags := []string{"-roots", exampletest.Roots(t, ca.cert), "-host", "*=" + closed(t)}
	for name, scheme := range hosts {
		flags = append(flags, "-host", name+"="+at[scheme])
	}
	return flags
}

func TestInternet(t *testing.T) {
	issuer := attesttest.Certificates()[0]
	aik := strings.ToLower(authorityHost("SIM0", issuer.SubjectKeyId))
	flags := fakeInternet(t, aik)
	code, results := preflightJSON(t, flags...)
	if code != 0 {
		t.Errorf("exit %d", code)
	}
	for _, r := range results {
		want := pass
		if r.Name == "present" || strings.HasPrefix(r.Name, "*.") {
			want = skip
		}
		if r.Status != want {
			t.Errorf("%+v", *r)
		}
	}
	code, results = preflightJSON(t, append(flags, "-tpm", "soft")...)
	if code != 0 {
		t.Errorf("with a TPM: exit %d", code)
	}
	found := false
	for _, r := range results {
		if strings.EqualFold(r.Name, aik) {
			found = r.Status == pass && r.Allow == "*.microsoftaik.azure.net:443"
		}
		if r.Name == "ekop.intel.com" && r.Status != skip {
			t.Errorf("Intel's service was asked for another maker's TPM: %+v", *r)
		}
	}
	if !found {
		t.Errorf("the attestation CA at %s was not asked", aik)
	}
}

func TestNoNetwork(t *testing.T) {
	start := time.Now()
	code, results := preflightJSON(t, "-host", "*="+closed(t))
	if elapsed := time.Since(start); code != 1 || elapsed > 10*time.Second {
		t.Errorf("exit %d after %v", code, elapsed)
	}
	if r := results["login.microsoftonline.com"]; r.Status != fail || r.Stage != stageTCP || !strings.Contains(r.Remedy, "firewall") || r.Allow != "login.microsoftonline.com:443" {
		t.Errorf("%+v", *r)
	}
	for _, name := range []string{"officecdn.microsoft.com", "ekop.intel.com"} {
		if r := results[name]; r.Status != warn {
			t.Errorf("no device needs it, or not every one: %+v", *r)
		}
	}
}

func TestUsage(t *testing.T) {
	for _, args := range [][]string{
		{"-no-such-flag"},
		{"more"},
		{"-timeout", "0"},
		{"-host", "a"},
		{"-host", "a=b"},
		{"-host", "=b:1"},
		{"-server", "http://127.0.0.1"},
		{"-tenant", "a/b"},
		{"-tenant", "a b"},
		{"-ek-roots", "file"},
		{"-tpm", "magic"},
	} {
		if code, stdout, stderr := preflight(t, args...); code != 2 || stdout != "" || stderr == "" {
			t.Errorf("%q: exit %d, %q, %q", args, code, stdout, stderr)
		}
	}
	if code, _, _ := preflight(t, "-h"); code != 0 {
		t.Errorf("-h: exit %d", code)
	}
}

// A TPM that does not answer is a failed check like others: the services are asked all the
// same. It takes no longer than a service may.
func TestSilentTPM(t *testing.T) {
	silent := serveRaw(t, func(c net.Conn) { _, _ = io.Copy(io.Discard, c) })
	start := time.Now()
	code, stdout, stderr := preflight(t, "-tpm", "tcp:"+silent, "-timeout", "700ms", "-host", "*="+closed(t))
	if code != 1 || stderr != "" || !strings.Contains(stdout, "FAIL  tpm         present: TPM2_Startup: tcp:"+silent+": the TPM has not answered for 1 s") || strings.Contains(stdout, "deadline") || !strings.Contains(stdout, "nothing listens at") {
		t.Errorf("exit %d: %s%s", code, stdout, stderr)
	}
	if !strings.Contains(stdout, "and there is no TPM to read it from") || strings.Contains(stdout, "-tpm is needed") {
		t.Error(stdout)
	}
	if took := time.Since(start); took > 8*time.Second {
		t.Errorf("it took %v", took)
	}
}

func TestCouldNotCheck(t *testing.T) {
	nowhere := "*=" + closed(t)
	for _, tt := range []struct {
		code int
		args []string
	}{
		{2, []string{"-roots", filepath.Join(t.TempDir(), "none")}},
		{2, []string{"-tpm", "soft", "-ek-roots", filepath.Join(t.TempDir(), "none")}},
		{3, []string{"-tpm", "soft:" + t.TempDir()}},
	} {
		if code, stdout, stderr := preflight(t, append(tt.args, "-host", nowhere)...); code != tt.code || stdout != "" || strings.Count(stderr, "\n") != 1 {
			t.Errorf("%q: exit %d, %q, %q", tt.args, code, stdout, stderr)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if code := program().Run(ctx, []string{"-host", nowhere}, io.Discard, io.Discard); code != 3 {
		t.Errorf("canceled: exit %d", code)
	}
}

func TestEndpoints(t *testing.T) {
	seen := make(map[string]bool)
	for _, e := range endpoints {
		if e.Step == "" || e.Use == "" || e.url == "" && e.mock == "" || e.url != "" && seen[e.url] {
			t.Errorf("%+v", e)
		}
		seen[e.url] = true
	}
}

// What the program says of itself, and of wrong flags.
func TestHelp(t *testing.T) { exampletest.Help(t, program()) }
