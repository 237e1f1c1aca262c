package scep_test

import (
	"bytes"
	"crypto/x509"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/whiteglove/whiteglove/scep"
	"github.com/whiteglove/whiteglove/scep/sceptest"
)

// TestStrongSwan enrolls with strongSwan's client at the test server. That client
// accepts a reply only if its signature algorithm is rsaEncryption, and does not
// find AES in the capabilities of any server, so the test makes it use triple DES.
func TestStrongSwan(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("pki"); err != nil {
		missing(t, "strongSwan's pki")
	}
	for quirks, want := range map[sceptest.Quirk]string{
		sceptest.QuirkPlainRSA: "Issued certificate is trusted",
		0:                      "only RSA digest encryption supported",
	} {
		server := &sceptest.Server{
			Password: "secret", Quirks: quirks,
			Caps: scep.Caps{"AES", "DES3", "SHA-256", "POSTPKIOperation", "Renewal", "SCEPStandard"},
		}
		var requests atomic.Int64
		ts := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			requests.Add(1)
			server.ServeHTTP(w, r)
		}))
		defer ts.Close()
		dir := t.TempDir()
		chain := server.Certificates()
		for name, text := range map[string][]byte{
			"int.crt": certPEM(chain[0]), "root.crt": certPEM(chain[1]), "key.pem": keyPEM(t, testKey()),
		} {
			if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		var out, log bytes.Buffer
		cmd := exec.CommandContext(t.Context(), "pki", "--scep", "--url", ts.URL+"/scep", "--in", "key.pem",
			"--dn", "O=lab, CN=dev-ss", "--san", "dev-ss.test", "--password", "secret", "--cipher", "des3", "--digest", "sha256",
			"--cacert-enc", "int.crt", "--cacert-sig", "int.crt", "--cacert", "root.crt")
		cmd.Dir, cmd.Stdout, cmd.Stderr = dir, &out, &log
		err := cmd.Run()
		if err != nil && requests.Load() == 0 {
			unable(t, "strongSwan's pki", "sends no request, perhaps for want of its plugins openssl and curl: "+log.String())
		}
		if !strings.Contains(log.String(), want) || (err == nil) != (quirks != 0) {
			t.Fatalf("quirks %x: %v: %s; server: %q", quirks, err, log.String(), server.Refusals())
		}
		if quirks == 0 {
			continue
		}
		cert, err := x509.ParseCertificate(out.Bytes())
		if err != nil {
			t.Fatal(err)
		}
		if err := cert.CheckSignatureFrom(chain[0]); err != nil || !testKey().PublicKey.Equal(cert.PublicKey) {
			t.Errorf("%v, %s", err, cert.Subject)
		}
	}
}
