package main

import (
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/whiteglove/whiteglove/examples/internal/exampletest"
)

// serve starts a server that answers each message with a verdict, and returns its URL
// and the file of its root.
func serve(t *testing.T, status int, body string) (url, roots string) {
	t.Helper()
	s := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if status == http.StatusFound {
			w.Header().Set("Location", "https://portal.test/?token=x")
		}
		w.Header().Set("Retry-After", "30")
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}))
	t.Cleanup(s.Close)
	return s.URL, exampletest.Roots(t, s.Certificate())
}

// TestRefused has servers that refuse, or are no verifiers. TestServe of the example
// verifier has a whole exchange.
func TestRefused(t *testing.T) {
	for _, tt := range []struct {
		status int
		body   string
		code   int
		says   string
	}{
		{403, `{"v":1,"type":"verdict","trusted":false,"reason":"a\nb"}`, 3, "attestor: refused: a b. The verifier does not trust this TPM, or not its maker: "},
		{503, `{"v":1,"type":"verdict","trusted":false,"reason":"full","retryable":true}`, 1, "Trying again later may help."},
		{401, `{"v":1,"type":"verdict","trusted":false,"reason":"bearer token is missing or wrong"}`, 1, "bearer token is missing or wrong. This device sent none: give the verifier's token with -token @FILE."},
		{409, `{"v":1,"type":"verdict","trusted":false,"reason":"old"}`, 1, "old. Run again."},
		{422, `{"v":1,"type":"verdict","trusted":false,"reason":"event log cannot be read"}`, 3, "refused: event log cannot be read. Give the right file with -eventlog, or read the log again."},
		{404, `not found`, 1, "404 Not Found, which is not a verifier's answer. Check -url"},
		{200, `<html>Sign in</html>`, 1, "answers 200 OK with a web page (HTML), which no verifier does"},
		{502, `<html>`, 1, "answers 502 Bad Gateway with a web page (HTML): the verifier is down or overloaded, says a gateway before it; may pass. Run again in 30 s."},
		{302, ``, 1, "leads to https://portal.test/, which is not followed"},
		{503, `busy`, 1, "answers 503 Service Unavailable: the verifier is down or overloaded, says a gateway before it; may pass. Run again in 30 s."},
		{200, `{"v":1,"type":"verdict","trusted":true}`, 1, "Check that -url is a verifier's, and that attestor and verifier are of the same version"},
		{200, `{"v":1,"ty`, 1, "Check that -url is a verifier's"},
		{403, `{"v":1,"type":"verdict","trusted":false,"reason":"the TPM's time has gone back: 1 reset fewer than last time"}`, 3, "fewer than last time. Run again; if it is refused again, "},
	} {
		url, roots := serve(t, tt.status, tt.body)
		code, stdout, stderr := exampletest.Run(t, program(), "-url", url, "-roots", roots)
		if code != tt.code || stdout != "" || !strings.Contains(stderr, tt.says) || strings.Count(stderr, "\n") != 1 {
			t.Errorf("%s: exit %d: %s%s", tt.body, code, stdout, stderr)
		}
	}
}

func TestUsage(t *testing.T) {
	missing := filepath.Join(t.TempDir(), "none")
	text := filepath.Join(t.TempDir(), "text")
	if err := os.WriteFile(text, []byte("text"), 0o600); err != nil {
		t.Fatal(err)
	}
	empty := filepath.Join(t.TempDir(), "empty")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	const url = "https://127.0.0.1:1"
	for _, c := range []struct {
		args []string
		code int
	}{
		{[]string{"-h"}, 0},
		{nil, 2},
		{[]string{"extra"}, 2},
		{[]string{"-url", "http://verifier.test"}, 2},
		{[]string{"-url", "verifier"}, 2},
		{[]string{"-url", url, "-tpm", "device", "-boot"}, 2},
		{[]string{"-url", url, "-state", filepath.Join(missing, "state")}, 2},
		{[]string{"-url", url, "-certify", filepath.Join(missing, "key")}, 2},
		{[]string{"-url", url, "-tpm", "none"}, 2},
		{[]string{"-url", url, "-srk", "81000001"}, 2},
		{[]string{"-url", url, "-roots", missing}, 2},
		{[]string{"-url", url, "-token", "@" + missing}, 2},
		{[]string{"-url", url, "-eventlog", missing}, 2},
		{[]string{"-url", url, "-eventlog", text, "-boot"}, 1},
		{[]string{"-url", url, "-state", text}, 2},
		{[]string{"-url", url, "-state", empty}, 2},
		{[]string{"-url", url, "-state", "/dev/zero"}, 2},
		{[]string{"-url", url, "-eventlog", empty}, 2},
		{[]string{"-url", url}, 1},
	} {
		if code, stdout, stderr := exampletest.Run(t, program(), c.args...); code != c.code || code != 0 && (stdout != "" || strings.Count(stderr, "\n") != 1) {
			t.Errorf("%q: exit %d, want %d: %s%s", c.args, code, c.code, stdout, stderr)
		}
	}
	o := &options{tpm: "device:/dev/tpm1"}
	if !o.real() || (&options{tpm: "soft"}).real() {
		t.Error("which TPM is real?")
	}
	if log, err := (&options{tpm: "soft"}).log(); log != nil || err != nil {
		t.Errorf("%d bytes, %v", len(log), err)
	}
}

// What the program says of itself, and of wrong flags.
func TestHelp(t *testing.T) { exampletest.Help(t, program()) }

// A server that does not answer is reported with code and remedy.
func TestExplained(t *testing.T) {
	exampletest.Explained(t, program(), "-url", "https://127.0.0.1:1")
}
