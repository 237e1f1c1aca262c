package scep_test

import (
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/whiteglove/whiteglove/scep/sceptest"
)

// script runs certmonger with a message bus and folders of its own, and enrolls
// with its scep-submit. $1 is the server's URL; other files are in the current
// folder.
const script = `
certmonger -s -n -d 2 -p "$PWD/cm.pid" >cm.log 2>&1 & CM=$!
trap 'kill $CM; wait $CM 2>/dev/null' EXIT
for i in 1 2 3 4 5 6 7 8 9 10; do getcert list-cas -s >/dev/null 2>&1 && break; sleep 0.3; done
getcert add-scep-ca -s -c lab -u "$1" -N "$PWD/root.pem" -I "$PWD/int.pem" || exit 1
for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
	getcert request -s -c lab -I req1 -k "$PWD/cm.key" -f "$PWD/cm.pem" -L secret -N CN=dev-cm -D dev-cm.test -g 2048 && break
	sleep 0.3
done
for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30; do
	getcert list -s -i req1 | grep -q 'status: MONITORING' && exit 0
	sleep 0.5
done
getcert list -s -i req1
exit 1
`

// TestCertmonger enrolls with certmonger at the test server. It is an independent
// client, written in C, and sends messages by GET.
func TestCertmonger(t *testing.T) {
	t.Parallel()
	for _, program := range []string{"certmonger", "dbus-run-session"} {
		if _, err := exec.LookPath(program); err != nil {
			missing(t, program)
		}
	}
	for name, server := range map[string]*sceptest.Server{
		"CA":             {Password: "secret"},
		"RA, plain RSA":  {Password: "secret", RA: true, Quirks: sceptest.QuirkPlainRSA},
		"BER, plain RSA": {Password: "secret", Quirks: sceptest.QuirkBER | sceptest.QuirkPlainRSA},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			certmonger(t, server)
		})
	}
}

func certmonger(t *testing.T, server *sceptest.Server) {
	t.Helper()
	var requests, messages atomic.Int64
	ts := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		requests.Add(1)
		if r.URL.Query().Get("operation") == "PKIOperation" {
			messages.Add(1)
		}
		server.ServeHTTP(w, r)
	}))
	defer ts.Close()
	dir := t.TempDir()
	chain := server.Certificates()
	for name, cert := range map[string]*x509.Certificate{"root.pem": chain[1], "int.pem": chain[0]} {
		if err := os.WriteFile(filepath.Join(dir, name), certPEM(cert), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.CommandContext(t.Context(), "dbus-run-session", "--", "sh", "-c", script, "sh", ts.URL+"/scep")
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "HOME="+dir)
	for _, name := range []string{"REQUESTS", "CAS", "LOCAL_CA", "CONFIG"} {
		path := filepath.Join(dir, strings.ToLower(name))
		if err := os.Mkdir(path, 0o700); err != nil {
			t.Fatal(err)
		}
		cmd.Env = append(cmd.Env, "CERTMONGER_"+name+"_DIR="+path)
	}
	if out, err := cmd.CombinedOutput(); err != nil {
		log, _ := os.ReadFile(filepath.Join(dir, "cm.log"))
		if requests.Load() == 0 {
			unable(t, "certmonger", fmt.Sprintf("sends no request: %v: %s\n…%s", err, out, log[max(0, len(log)-2000):]))
		}
		t.Fatalf("%v: %s\n…%s\nserver: %q", err, out, log[max(0, len(log)-2000):], server.Refusals())
	}
	text, err := os.ReadFile(filepath.Join(dir, "cm.pem"))
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(text)
	if block == nil {
		t.Fatalf("no certificate: %s", text)
	}
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	if err := cert.CheckSignatureFrom(chain[0]); err != nil || cert.Subject.CommonName != "dev-cm" || messages.Load() == 0 {
		t.Errorf("%v, %s, %d messages", err, cert.Subject, messages.Load())
	}
}
