package main

import (
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/whiteglove/whiteglove/aik/aiktest"
	"github.com/whiteglove/whiteglove/attest/attesttest"
	"github.com/whiteglove/whiteglove/ekcert"
	"github.com/whiteglove/whiteglove/examples/internal/command"
	"github.com/whiteglove/whiteglove/examples/internal/exampletest"
	"github.com/whiteglove/whiteglove/provision/provisiontest"
	"github.com/whiteglove/whiteglove/scep/sceptest"
)

// try runs the program.
func try(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	return exampletest.Run(t, program(), args...)
}

// must runs the program, which must succeed.
func must(t *testing.T, args ...string) string {
	t.Helper()
	code, stdout, stderr := try(t, args...)
	if code != 0 || stderr != "" {
		t.Fatalf("%q: exit code %d\n%s", args, code, stderr)
	}
	return stdout
}

// checkOut checks the files of -out: a chain of three certificates, and a
// wrapped key.
func checkOut(t *testing.T, dir string) {
	t.Helper()
	chain, err := command.ReadCertificates(filepath.Join(dir, "aik.pem"))
	if err != nil || len(chain) != 3 {
		t.Fatalf("%d certificates, %v", len(chain), err)
	}
	for i, cert := range chain[1:] {
		if err := chain[i].CheckSignatureFrom(cert); err != nil {
			t.Error(err)
		}
	}
	if chain[0].KeyUsage != x509.KeyUsageDigitalSignature || string(chain[0].RawSubject) != "\x30\x00" {
		t.Errorf("key usage %#x, subject %x", chain[0].KeyUsage, chain[0].RawSubject)
	}
	text, err := os.ReadFile(filepath.Join(dir, "aik-key.pem"))
	if err != nil {
		t.Fatal(err)
	}
	if b, _ := pem.Decode(text); b == nil || b.Type != "TSS2 PRIVATE KEY" {
		t.Errorf("key %.40q", text)
	}
}

func TestInProcess(t *testing.T) {
	out := filepath.Join(t.TempDir(), "out")
	if text := must(t, "-out", out); !strings.Contains(text, "trust: endorsement certificate verified") {
		t.Errorf("output %q", text)
	}
	checkOut(t, out)
}

func TestServer(t *testing.T) {
	server := new(provisiontest.Server)
	roots := exampletest.StartMock(t, server)
	must(t, "-url", server.URL+provisiontest.AIKPath, "-roots", roots, "-windows")
	if r := server.Refusals(); len(r) > 0 {
		t.Errorf("refusals %q", r)
	}
	// Another server's roots.
	others := exampletest.StartMock(t, new(provisiontest.Server))
	code, _, stderr := try(t, "-url", server.URL+provisiontest.AIKPath, "-roots", others)
	if code != 1 || strings.Count(stderr, "\n") != 1 || !strings.HasPrefix(stderr, "aikenroll: GetCACaps https://") || !strings.Contains(stderr, "(0x80072F8F ERROR_WINHTTP_SECURE_FAILURE). ") {
		t.Errorf("exit code %d: %s", code, stderr)
	}
	// A URL at which there is no authority.
	code, _, stderr = try(t, "-url", server.URL+"/aik/SIM0-KeyId-00/scep", "-roots", roots)
	if code != 1 || !strings.Contains(stderr, "does not exist") || !strings.Contains(strings.ToLower(stderr), "0x80190194") || !strings.Contains(stderr, "firmware") || !strings.Contains(stderr, " write {authority} in -url.") {
		t.Errorf("exit code %d: %s", code, stderr)
	}
}

// TestHalves enrolls in two runs that share a file and the state of the TPM.
func TestHalves(t *testing.T) {
	server := new(provisiontest.Server)
	roots := exampletest.StartMock(t, server)
	dir := t.TempDir()
	tpm, file, out := "soft:"+filepath.Join(dir, "tpm"), filepath.Join(dir, "challenge"), filepath.Join(dir, "out")
	text := must(t, "-tpm", tpm, "-url", server.URL+provisiontest.AIKPath, "-roots", roots, "-begin", file)
	if !strings.Contains(text, server.URL) {
		t.Errorf("output %q", text)
	}
	if fi, err := os.Stat(file); err != nil || fi.Mode().Perm()&0o077 != 0 {
		t.Errorf("the file is open to others: %v, %v", fi, err)
	}
	must(t, "-tpm", tpm, "-roots", roots, "-complete", file, "-out", out)
	checkOut(t, out)
	if r := server.Refusals(); len(r) > 0 {
		t.Errorf("refusals %q", r)
	}
	// The challenge can be answered once.
	code, _, stderr := try(t, "-tpm", tpm, "-roots", roots, "-complete", file)
	if code != 1 || !strings.Contains(stderr, "no challenge is open") || !strings.Contains(stderr, ". Ask for a new challenge with -begin, then -complete it within minutes. ") {
		t.Errorf("exit code %d: %s", code, stderr)
	}
}

// TestLegacy asks a CA that signs with SHA-1.
func TestLegacy(t *testing.T) {
	s := &aiktest.Server{
		Makers: attesttest.Certificates(), EKRoots: ekcert.Roots{attesttest.Vendor: attesttest.Roots()}, Quirks: sceptest.QuirkSHA1,
	}
	ts := httptest.NewServer(s)
	defer ts.Close()
	args := []string{"-url", ts.URL + "/{authority}", "-roots", exampletest.File(t, command.EncodeCertificates(s.Certificates()...))}
	if code, _, stderr := try(t, args...); code != 1 || !strings.Contains(stderr, "SHA-1") || !strings.HasSuffix(stderr, ". The flag -legacy permits them.\n") {
		t.Errorf("without leave: exit code %d: %s", code, stderr)
	}
	must(t, append(args, "-legacy")...)
}

func TestBadFiles(t *testing.T) {
	server := new(provisiontest.Server)
	roots := exampletest.StartMock(t, server)
	dir := t.TempDir()
	good := filepath.Join(dir, "good")
	must(t, "-url", server.URL+provisiontest.AIKPath, "-roots", roots, "-begin", good)
	text, err := os.ReadFile(good)
	if err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		change func(m map[string]any)
		code   int
		want   string
	}{
		"another TPM":  {func(m map[string]any) { m["ek"] = strangersKey(t, roots) }, 1, "another TPM: give the -tpm of -begin, or ask again with -begin"},
		"no EK":        {func(m map[string]any) { m["ek"] = "" }, 2, "its endorsement key cannot be read, so the file is damaged: ask again with -begin"},
		"no key":       {func(m map[string]any) { m["key"] = "" }, 2, "not a key file that can be used"},
		"no challenge": {func(m map[string]any) { delete(m, "challenge") }, 2, "no challenge"},
		"changed":      {func(m map[string]any) { m["challenge"].(map[string]any)["version"] = 9 }, 2, ". Name the file that -begin wrote, or ask again with -begin."},
	} {
		var m map[string]any
		if err := json.Unmarshal(text, &m); err != nil {
			t.Fatal(err)
		}
		tt.change(m)
		changed, err := json.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		file := filepath.Join(dir, "changed")
		if err := os.WriteFile(file, changed, 0o600); err != nil {
			t.Fatal(err)
		}
		if code, _, stderr := try(t, "-complete", file, "-roots", roots); code != tt.code || !strings.Contains(stderr, tt.want) {
			t.Errorf("%s: exit code %d: %s", name, code, stderr)
		}
	}
	const other = "no challenge in it: name the file that -begin wrote"
	for text, want := range map[string]string{
		"text": other, "{}": other, "[]": other, "3": other, `{"ek":1}`: other, `{"key":"x","challenge":"x"}`: other, " ": "the file is empty: name the file that -begin wrote",
		string(text[:len(text)/2]): "the file ends in the middle: take the whole file, or ask again with -begin",
	} {
		file := filepath.Join(dir, "other")
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if code, _, stderr := try(t, "-complete", file, "-roots", roots); code != 2 || stderr != "aikenroll: -complete "+file+": "+want+"\n" {
			t.Errorf("%s: exit code %d: %s", text, code, stderr)
		}
	}
	// The bad files did not use up the challenge.
	must(t, "-complete", good, "-roots", roots)
}

// strangersKey returns the SubjectPublicKeyInfo of a key that is in no TPM.
func strangersKey(t *testing.T, roots string) []byte {
	t.Helper()
	certs, err := command.ReadCertificates(roots)
	if err != nil {
		t.Fatal(err)
	}
	return certs[0].RawSubjectPublicKeyInfo
}

func TestUsage(t *testing.T) {
	for _, args := range [][]string{
		{"-no-such-flag"},
		{"argument"},
		{"-timeout", "0"},
		{"-roots", "file"},
		{"-begin", "a", "-complete", "b"},
		{"-begin", "a"},
		{"-legacy"},
		{"-begin", "a", "-url", "https://x.test", "-out", "d"},
		{"-complete", "a", "-url", "https://x.test"},
		{"-complete", "a", "-windows"},
		{"-tpm", "none"},
		{"-url", "windoze"},
		{"-url", "ftp://x.test"},
		{"-url", "http://x.test"},
		{"-complete", "no-such-file"},
		{"-ek-roots", "no-such-file"},
		{"-url", "https://x.test", "-roots", "no-such-file"},
		{"-url", "https://x.test", "-out", "main.go"},
		{"-url", "https://x.test", "-begin", "."},
	} {
		if code, _, stderr := try(t, args...); code != 2 || !strings.HasSuffix(stderr, "; see aikenroll -h\n") && !strings.Contains(stderr, "no-such-file") || strings.Count(stderr, "\n") != 1 {
			t.Errorf("%q: exit code %d: %s", args, code, stderr)
		}
	}
	if code, _, _ := try(t, "-h"); code != 0 {
		t.Errorf("-h: exit code %d", code)
	}
}

// What the program says of itself, and of wrong flags.
func TestHelp(t *testing.T) { exampletest.Help(t, program()) }

// Where no request came to the CA, its operator does not find one.
func TestNothingSent(t *testing.T) {
	portal := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "<html>sign in</html>") }))
	defer portal.Close()
	roots := exampletest.StartMock(t, new(provisiontest.Server))
	for _, url := range []string{"https://127.0.0.1:1", "https://no-such-host.invalid", portal.URL} {
		if code, _, stderr := try(t, "-url", url, "-roots", roots); code != 1 || strings.Contains(stderr, "operator finds") {
			t.Errorf("%s: exit code %d: %s", url, code, stderr)
		}
	}
}

// A server that does not answer is reported with code and remedy.
func TestExplained(t *testing.T) {
	exampletest.Explained(t, program(), "-url", "https://127.0.0.1:1")
}
