package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"maps"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/whiteglove/whiteglove/examples/internal/exampletest"
	"github.com/whiteglove/whiteglove/mdm/mdmtest"
	"github.com/whiteglove/whiteglove/scep/sceptest"
)

// issuer is the key that signs tokens.
var issuer = sync.OnceValue(func() *rsa.PrivateKey {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return nil // every test fails on it
	}
	return key
})

// try runs the program.
func try(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	return exampletest.Run(t, program(), args...)
}

// A site is a management server, with its roots and a token in files.
type site struct {
	*mdmtest.Server
	discover, ca, token string
}

// startSite starts a server, and signs a token with the claims that servers
// expect and those given.
func startSite(t *testing.T, claims jwt.MapClaims) *site {
	t.Helper()
	s := &site{Server: &mdmtest.Server{
		TokenKey:  func() *rsa.PublicKey { return &issuer().PublicKey },
		Users:     func(upn string) bool { return upn == "user@contoso.test" },
		Passwords: func(user, password string) bool { return user == "user@contoso.test" && password == "secret word" },
	}}
	h := httptest.NewUnstartedServer(s.Server)
	h.TLS = s.TLSConfig(nil)
	h.StartTLS()
	t.Cleanup(h.Close)
	now := time.Now()
	all := jwt.MapClaims{
		"aud": mdmtest.DefaultResource, "iss": "https://sts.windows.net/" + mdmtest.DefaultTenantID + "/", "tid": mdmtest.DefaultTenantID,
		"nbf": now.Unix(), "exp": now.Add(time.Hour).Unix(),
	}
	maps.Copy(all, claims)
	text, err := jwt.NewWithClaims(jwt.SigningMethodRS256, all).SignedString(issuer())
	if err != nil {
		t.Fatal(err)
	}
	s.discover = h.URL + mdmtest.DiscoveryPath
	s.token = exampletest.File(t, []byte(text+"\n"))
	s.ca = exampletest.Roots(t, h.Certificate())
	return s
}

// ofDevice returns the claims of a device's token. Its user is a placeholder.
func ofDevice() jwt.MapClaims {
	return jwt.MapClaims{"idtyp": "device", "deviceid": "0d9e0f0a-6d35-4b7e-8c11-3a0f5b1c2d3e", "upn": "fooUser@contoso.test"}
}

// TestDevice enrolls a device that proves its key, holds sessions and shows the
// status page to its end.
func TestDevice(t *testing.T) {
	s := startSite(t, ofDevice())
	s.RequireAttestation = true
	s.Session.Commands = []mdmtest.Command{
		mdmtest.Page(map[string]string{"ExpectedPolicies": "./Device/Vendor/MSFT/Policy/Config/x", "TimeOutUntilSyncFailure": "60"}),
	}
	given := 0
	s.Session.Next = func(string, []mdmtest.Response) []mdmtest.Command {
		given++
		if given != 3 {
			return nil
		}
		return []mdmtest.Command{
			mdmtest.Write("Replace", "./Device/Vendor/MSFT/Policy/Config/x", "chr", "1"),
			mdmtest.Page(map[string]string{"ServerHasFinishedProvisioning": "true"}),
		}
	}
	out := t.TempDir()
	code, stdout, stderr := try(t, "-discover", s.discover, "-roots", s.ca, "-token", "@"+s.token, "-session", "5", "-esp", "-out", out)
	if code != 0 || stderr != "" {
		t.Fatalf("exit code %d\n%s%s; server: %q", code, stdout, stderr, s.Refusals())
	}
	for _, want := range []string{"emulated TPM", "enrollment   CN=", "TestMDM at https://", "Device setup", "1 of 1 applied", "status page  succeeded"} {
		if !strings.Contains(stdout, want) {
			t.Errorf("no %q in\n%s", want, stdout)
		}
	}
	checkOut(t, s, out)
}

// checkOut checks the files of -out.
func checkOut(t *testing.T, s *site, out string) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(out, "mdm.pem"))
	if err != nil {
		t.Fatal(err)
	}
	block, rest := pem.Decode(text)
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil || len(s.Enrolled()) != 1 || !s.Enrolled()[0].Equal(cert) || bytes.Count(rest, []byte("BEGIN")) != 2 {
		t.Errorf("certificate: %v", err)
	}
	key, err := os.ReadFile(filepath.Join(out, "mdm-key.pem"))
	if err != nil || !bytes.Contains(key, []byte("TSS2 PRIVATE KEY")) {
		t.Errorf("key: %v", err)
	}
	var sum summary
	text, err = os.ReadFile(filepath.Join(out, "summary.json"))
	if err != nil {
		t.Fatal(err)
	}
	// The status page has the form that Windows writes, which summary cannot
	// read.
	var raw map[string]json.RawMessage
	if err := json.Unmarshal(text, &raw); err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(raw["statusPage"], []byte("DeviceSetupSubcategory")) && !bytes.Contains(raw["statusPage"], []byte("categoryState")) {
		t.Errorf("status page: %s", raw["statusPage"])
	}
	delete(raw, "statusPage")
	if text, err = json.Marshal(raw); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &sum); err != nil || len(sum.DeviceID) != 32 || sum.ProviderID != "TestMDM" || len(sum.Sessions) == 0 || sum.Subject != cert.Subject.String() {
		t.Errorf("summary: %+v, %v", sum, err)
	}
	entries, err := os.ReadDir(out)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if info, err := e.Info(); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v", e.Name(), err)
		}
	}
}

// TestOrder lets the server order certificates over SCEP, for keys of the TPM.
func TestOrder(t *testing.T) {
	ca := &sceptest.Server{Password: "once"}
	h := httptest.NewTLSServer(ca)
	t.Cleanup(h.Close)
	root := ca.Certificates()[len(ca.Certificates())-1]
	for _, c := range []struct {
		name, thumbprint string
		failed           int
	}{
		{"named root", fmt.Sprintf("%X", sha1.Sum(root.Raw)), 0},
		{"another root", strings.Repeat("AB", 20), 1},
	} {
		s := startSite(t, ofDevice())
		s.Session.Commands = mdmtest.Order("wifi", map[string]string{"ServerURL": h.URL + "/scep", "Challenge": "once", "CAThumbprint": c.thumbprint})
		out := t.TempDir()
		code, stdout, stderr := try(t, "-discover", s.discover, "-roots", s.ca, "-token", "@"+s.token, "-session", "1", "-out", out)
		if code != 0 || !strings.Contains(stdout, fmt.Sprintf("%d of them failed", c.failed)) {
			t.Errorf("%s: exit code %d\n%s%s; CA: %q", c.name, code, stdout, stderr, ca.Refusals())
		}
		if _, err := os.Stat(filepath.Join(out, "scep-1.pem")); (err == nil) != (c.failed == 0) {
			t.Errorf("%s: certificate: %v", c.name, err)
		}
	}
}

// TestUnfinished has sessions at the end of which something is missing.
func TestUnfinished(t *testing.T) {
	page := func(finished string) mdmtest.Command {
		return mdmtest.Page(map[string]string{"TimeOutUntilSyncFailure": "60", "ServerHasFinishedProvisioning": finished})
	}
	bad := mdmtest.Write("Replace", "./DevDetail/SwV", "chr", "1")
	for _, c := range []struct {
		name     string
		commands []mdmtest.Command
		esp      bool
		code     int
		want     string
	}{
		{"in progress", []mdmtest.Command{page("false")}, true, 1, "still in progress after 2 sessions"},
		{"commands failed", []mdmtest.Command{page("true"), bad}, true, 1, "1 commands of the server failed"},
		{"no page, commands failed", []mdmtest.Command{bad}, true, 1, "1 commands of the server failed"},
		{"without -esp", []mdmtest.Command{page("false"), bad}, false, 0, ""},
		{"well", []mdmtest.Command{page("true")}, true, 0, ""},
	} {
		s := startSite(t, ofDevice())
		s.Session.Commands = c.commands
		out := t.TempDir()
		args := []string{"-discover", s.discover, "-roots", s.ca, "-token", "@" + s.token, "-session", "2", "-out", out}
		if c.esp {
			args = append(args, "-esp")
		}
		code, stdout, stderr := try(t, args...)
		if code != c.code || !strings.Contains(stderr, c.want) || (c.want == "") != (stderr == "") {
			t.Errorf("%s: exit code %d\n%s%s", c.name, code, stdout, stderr)
		}
		text, err := os.ReadFile(filepath.Join(out, "summary.json"))
		if err != nil {
			t.Fatal(err)
		}
		failed := slices.ContainsFunc(c.commands, func(c mdmtest.Command) bool { return c.Verb == bad.Verb })
		var sum struct{ Sessions []sessionSummary }
		if err := json.Unmarshal(text, &sum); err != nil || len(sum.Sessions) == 0 || failed != slices.Equal(sum.Sessions[0].Failures, []failure{{"Replace", "./DevDetail/SwV", 405}}) {
			t.Errorf("%s: %+v, %v", c.name, sum, err)
		}
		if failed != strings.Contains(stdout, "failed     Replace ./DevDetail/SwV: status 405\n") {
			t.Errorf("%s:\n%s", c.name, stdout)
		}
	}
}

// TestAgain enrolls as the flags say, then renews and leaves from what it wrote.
func TestAgain(t *testing.T) {
	s := startSite(t, ofDevice())
	s.Quirks.LongKeys = true
	s.Session.Commands = []mdmtest.Command{mdmtest.Read("./Vendor/MSFT/A")}
	dir := t.TempDir()
	out, har, tpm := filepath.Join(dir, "out"), filepath.Join(dir, "har"), "soft:"+filepath.Join(dir, "tpm")
	enroll := []string{
		"-discover", s.discover, "-roots", s.ca, "-token", "@" + s.token, "-tpm", tpm, "-session", "1", "-out", out, "-har", har,
		"-request-version", "4.0", "-device-id", "unit-7", "-enrollment-type", "Device", "-key-size", "2048", "-node", "./Vendor/MSFT/A=b=c",
	}
	if code, stdout, stderr := try(t, enroll...); code != 1 || !strings.Contains(stderr, "-short-key") {
		t.Fatalf("long key: exit code %d\n%s%s", code, stdout, stderr)
	}
	code, stdout, stderr := try(t, append(enroll, "-short-key")...)
	if code != 0 || !strings.Contains(stderr, "warning: the key has") {
		t.Fatalf("exit code %d\n%s%s; server: %q", code, stdout, stderr, s.Refusals())
	}
	if r := s.Responses("unit-7"); len(r) != 1 || r[0].Result == nil || r[0].Result.Data != "b=c" {
		t.Errorf("responses %+v", r)
	}
	text, err := os.ReadFile(har)
	token, err2 := os.ReadFile(s.token)
	if err != nil || err2 != nil || !bytes.Contains(text, []byte("Discovery.svc")) || !bytes.Contains(text, []byte("MDM.svc")) || bytes.Contains(text, token[:60]) {
		t.Errorf("%d bytes of messages, %v, %v", len(text), err, err2)
	}
	before, err := os.ReadFile(filepath.Join(out, "mdm.pem"))
	if err != nil {
		t.Fatal(err)
	}
	for _, more := range [][]string{{"-renew", "-har", har}, {"-renew"}, {"-unenroll"}} {
		if code, stdout, stderr := try(t, append([]string{"-out", out, "-roots", s.ca, "-tpm", tpm}, more...)...); code != 0 {
			t.Errorf("%s: exit code %d\n%s%s; server: %q", more, code, stdout, stderr, s.Refusals())
		}
	}
	const ended = "The server no longer manages this device, so there is nothing to end. To manage it again, enroll it again."
	if code, _, stderr := try(t, "-out", out, "-roots", s.ca, "-tpm", tpm, "-unenroll"); code != 1 || !strings.Contains(stderr, ended) || strings.Count(stderr, "HTTP status 403") != 1 {
		t.Errorf("unenrolled twice: exit code %d: %s", code, stderr)
	}
	if code, _, stderr := try(t, "-out", out, "-roots", s.ca, "-tpm", tpm, "-renew"); code != 1 || !strings.Contains(stderr, "ended its management") {
		t.Errorf("renewal of an unenrolled device: exit code %d: %s", code, stderr)
	}
	after, err := os.ReadFile(filepath.Join(out, "mdm.pem"))
	if _, gone := s.Sessions("unit-7"); err != nil || bytes.Equal(before, after) || len(s.Enrolled()) != 3 || !gone {
		t.Errorf("%d certificates, gone %v, %v", len(s.Enrolled()), gone, err)
	}
}

func TestUser(t *testing.T) {
	s := startSite(t, jwt.MapClaims{"upn": "user@contoso.test", "scp": "mdm_delegation", "deviceid": "0d9e0f0a-6d35-4b7e-8c11-3a0f5b1c2d3e"})
	if code, stdout, stderr := try(t, "-discover", s.discover, "-roots", s.ca, "-token", "@"+s.token); code != 0 || stderr != "" {
		t.Errorf("token: exit code %d\n%s%s", code, stdout, stderr)
	}
	code, stdout, stderr := try(t, "-discover", s.discover, "-roots", s.ca, "-user", "user@contoso.test", "-password", "@"+exampletest.File(t, []byte("secret word\n")))
	if code != 0 || stderr != "" {
		t.Errorf("password: exit code %d\n%s%s", code, stdout, stderr)
	}
	if len(s.Enrolled()) != 2 {
		t.Errorf("%d certificates; server: %q", len(s.Enrolled()), s.Refusals())
	}
}

// TestFailures checks that a failure is one line with the code of Windows and
// what may help.
func TestFailures(t *testing.T) {
	s := startSite(t, jwt.MapClaims{"upn": "user@contoso.test", "scp": "other"})
	for _, c := range []struct {
		name string
		args []string
		want []string
	}{
		{"permission", []string{"-discover", s.discover, "-roots", s.ca, "-token", "@" + s.token}, []string{". The token's scp has no mdm_delegation", "0x80180003", "MDM scope"}},
		{"password", []string{"-discover", s.discover, "-roots", s.ca, "-user", "user@contoso.test", "-password", "x"}, []string{"0x80180002"}},
		{"opaque token", []string{"-discover", s.discover, "-roots", s.ca, "-token", "@" + exampletest.File(t, []byte("abc"))}, []string{"0x80180007"}},
		{"unknown root", []string{"-discover", s.discover, "-token", "@" + s.token}, []string{"0x80180012"}},
		{"no token", []string{"-domain", "contoso.test", "-token", "@" + filepath.Join(t.TempDir(), "none")}, []string{"no such file"}},
		{"no roots", []string{"-discover", s.discover, "-roots", s.token, "-token", "@" + s.token}, []string{"no certificate"}},
	} {
		code, stdout, stderr := try(t, c.args...)
		for _, want := range c.want {
			if !strings.Contains(stderr, want) {
				t.Errorf("%s: no %q in %s", c.name, want, stderr)
			}
		}
		exit := 1
		if strings.HasPrefix(c.name, "no ") { // a file is missing or wrong
			exit = 2
		}
		if code != exit || strings.Contains(stdout, "enrollment") || strings.Count(stderr, "\n") > 3 || strings.Count(stderr, "The token's scp has no") > 1 {
			t.Errorf("%s: exit code %d\n%s%s", c.name, code, stdout, stderr)
		}
	}
	if len(s.Enrolled()) != 0 {
		t.Errorf("%d certificates", len(s.Enrolled()))
	}
}

// A folder without an enrollment is named, before a TPM is made.
func TestNothingToRenew(t *testing.T) {
	dir := t.TempDir()
	tpm := filepath.Join(dir, "tpm")
	for _, c := range []struct{ out, file, text, want string }{
		{filepath.Join(dir, "none"), "", "", "there is no such folder: name the folder that an enrollment wrote\n"},
		{dir, "", "", "there is no enrollment in it, for summary.json is missing: name the folder that an enrollment wrote\n"},
		{dir, "summary.json", "text", "summary.json is not what an enrollment wrote, or is damaged"},
		{dir, "summary.json", `{"DeviceID":1}`, "summary.json is not what an enrollment wrote, or is damaged"},
		{dir, "summary.json", `{"other":1}`, "summary.json is not what an enrollment wrote, or is damaged"},
		{dir, "summary.json", `{"DeviceID":"x","Server":"https://mdm.test"}`, "there is no enrollment in it, for mdm.pem is missing"},
		{dir, "mdm.pem", "text", "mdm.pem: no certificate in it"},
	} {
		if c.file != "" {
			if err := os.WriteFile(filepath.Join(dir, c.file), []byte(c.text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		for _, flag := range []string{"-renew", "-unenroll"} {
			if code, stdout, stderr := try(t, flag, "-out", c.out, "-tpm", "soft:"+tpm); code != 2 || stdout != "" || !strings.HasPrefix(stderr, "mdmenroll: -out "+c.out+": "+c.want) {
				t.Errorf("%s: exit code %d: %s", flag, code, stderr)
			}
		}
	}
	if _, err := os.Stat(tpm); err == nil {
		t.Error("a TPM was made")
	}
}

func TestUsage(t *testing.T) {
	for want, args := range map[string]string{
		"-discover: http://mdm.test/ is not https":                      "-discover http://mdm.test/ -token x",
		"-domain \"x\": want the part of an e-mail address after the @": "-domain x -token y",
		"-user \"a\": want an e-mail address":                           "-discover https://mdm.test -user a -password b",
		"-tpm \"hard\": want soft[:STATEFILE], ":                        "-discover https://mdm.test -token x -tpm hard",
		"-token main.go is a file: write @main.go":                      "-discover https://mdm.test -token main.go",
		"-user needs -password":                                         "-discover https://mdm.test -user a@b.test",
		"-request-version \"foo\": want a version":                      "-discover https://mdm.test -token x -request-version foo",
		"-har: there is no folder":                                      "-discover https://mdm.test -token x -har none/x",
		"-out: \"main.go\" is a file, not a folder":                     "-discover https://mdm.test -token x -out main.go/x",
		"-session \"many\": want a whole number":                        "-discover https://mdm.test -token x -session many",
		"-timeout \"5\": want a time with its unit, such as 90s or 5m":  "-discover https://mdm.test -token x -timeout 5",
	} {
		if code, _, stderr := try(t, strings.Fields(args)...); code != 2 || !strings.HasPrefix(stderr, "mdmenroll: "+want) {
			t.Errorf("%q: exit code %d: %s", args, code, stderr)
		}
	}
	for _, args := range []string{
		"", "-discover x", "-token x", "-discover x -domain y -token z", "-discover x -token y -user z", "-discover x -token y -password z",
		"-discover x -token y -session -1", "-discover x -token y -timeout 0s", "-discover x -token y extra", "-renew", "-renew -unenroll -out x", "-renew -out x -token y", "-unenroll -out x -session 1",
		"-discover x -token y -key-size 1024", "-discover x -token y -enrollment-type x", "-discover x -token y -node x", "-insecure-skip-verify",
	} {
		if code, stdout, stderr := try(t, strings.Fields(args)...); code != 2 || stdout != "" || !strings.HasSuffix(stderr, "; see mdmenroll -h\n") {
			t.Errorf("%q: exit code %d\n%s%s", args, code, stdout, stderr)
		}
	}
	if code, _, stderr := try(t, "-h"); code != 0 || !strings.Contains(stderr, "-session") || !strings.HasPrefix(stderr, "mdmenroll enrolls") || strings.Index(stderr, "Exit status") > strings.Index(stderr, "-roots") {
		t.Errorf("help: exit code %d\n%s", code, stderr)
	}
}

func TestInterrupted(t *testing.T) {
	s := startSite(t, ofDevice())
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var out, errs bytes.Buffer
	if code := program().Run(ctx, []string{"-discover", s.discover, "-roots", s.ca, "-token", "@" + s.token}, &out, &errs); code != 1 || !strings.Contains(errs.String(), "canceled") {
		t.Errorf("exit code %d: %s", code, &errs)
	}
}

// A policy may name a service of Azure Attestation.
func TestAzure(t *testing.T) {
	s := startSite(t, ofDevice())
	s.RequireAttestation, s.Azure = true, new(mdmtest.AttestationServer)
	h := httptest.NewTLSServer(s.Azure)
	t.Cleanup(h.Close)
	s.Azure.BaseURL = h.URL
	if code, stdout, stderr := try(t, "-discover", s.discover, "-roots", s.ca, "-token", "@"+s.token, "-request-version", "6.0"); code != 0 || stderr != "" {
		t.Errorf("exit code %d\n%s%s; server: %q, %q", code, stdout, stderr, s.Refusals(), s.Azure.Refusals())
	}
}

// What the program says of itself, and of wrong flags.
func TestHelp(t *testing.T) { exampletest.Help(t, program()) }

// A server that does not answer is reported with code and remedy.
func TestExplained(t *testing.T) {
	exampletest.Explained(t, program(), "-discover", "https://127.0.0.1:1", "-token", "x")
}
