package scep_test

import (
	"context"
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/whiteglove/whiteglove/scep"
	"github.com/whiteglove/whiteglove/scep/sceptest"
)

// missing skips a test because a program is not installed, or fails it if
// WHITEGLOVE_REQUIRE_TOOLS is set.
func missing(t *testing.T, what string) {
	t.Helper()
	unable(t, what, "is missing")
}

// unable skips a test because a program is missing or does not work on this
// machine, or fails it if WHITEGLOVE_REQUIRE_TOOLS is set.
func unable(t *testing.T, program, why string) {
	t.Helper()
	if os.Getenv("WHITEGLOVE_REQUIRE_TOOLS") != "" {
		t.Fatalf("%s %s: run .ci/peers", program, why)
	}
	t.Skipf("%s %s: run .ci/peers to have this tested", program, why)
}

// peer returns the path of a program that .ci/peers built.
func peer(t *testing.T, name string) string {
	t.Helper()
	dir := os.Getenv("WHITEGLOVE_PEERS")
	if dir == "" {
		cache, err := os.UserCacheDir()
		if err != nil {
			missing(t, name)
		}
		dir = filepath.Join(cache, "whiteglove-peers")
	}
	path := filepath.Join(dir, name)
	if _, err := os.Stat(path); err != nil {
		missing(t, name)
	}
	return path
}

// freeAddress returns a loopback address and port that are not in use.
func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// run starts a server with the working directory dir and waits until it answers
// at url. A server that ends before it answers counts as unable to work.
func run(t *testing.T, dir, url, program string, args ...string) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	cmd := exec.CommandContext(ctx, program, args...)
	var out strings.Builder
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, &out, &out
	if err := cmd.Start(); err != nil {
		unable(t, program, err.Error())
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = cmd.Wait() // it was killed
	}()
	t.Cleanup(func() {
		cancel()
		<-ended
		if t.Failed() {
			text := out.String()
			t.Logf("%s: …%s", filepath.Base(program), text[max(0, len(text)-1000):])
		}
	})
	for range 600 {
		res, err := http.Get(url + "?operation=GetCACaps")
		if err == nil {
			res.Body.Close()
			if res.StatusCode == http.StatusOK {
				return
			}
		}
		select {
		case <-ended:
			unable(t, program, "ends at once: "+out.String())
		case <-time.After(50 * time.Millisecond):
		}
	}
	t.Fatalf("%s does not answer at %s", program, url)
}

// micromdm starts a server of micromdm and returns its URL and CA.
func micromdm(t *testing.T, program string) (url string, roots *x509.CertPool) {
	t.Helper()
	server, dir := peer(t, program), t.TempDir()
	cmd := exec.Command(peer(t, "scepserver"), "ca", "-init", "-depot", "depot", "-keySize", "2048", "-common_name", "Lab SCEP CA")
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		unable(t, "scepserver", fmt.Sprintf("makes no CA: %v: %s", err, out))
	}
	address := freeAddress(t)
	url = "http://" + address + "/scep"
	args := []string{"-depot", "depot", "-http-addr", address, "-challenge", "secret"}
	if program == "scepserver" {
		args = append(args, "-allowrenew", "0")
	}
	run(t, dir, url, server, args...)
	text, err := os.ReadFile(filepath.Join(dir, "depot", "ca.pem"))
	if err != nil {
		t.Fatal(err)
	}
	roots = x509.NewCertPool()
	roots.AppendCertsFromPEM(text)
	return url, roots
}

// stepCA starts step-ca and returns its URL up to the name of the provisioner,
// which is "aes", "ra" (a separate decrypter; the root is sent) or "des".
func stepCA(t *testing.T) (url string, root, issuing *x509.Certificate) {
	t.Helper()
	program, dir := peer(t, "step-ca"), t.TempDir()
	top := mustRoot(t)
	ca, err := sceptest.NewAuthority("Lab Intermediate", top, nil)
	if err != nil {
		t.Fatal(err)
	}
	decrypter, err := ca.Issue(&x509.Certificate{
		Subject: pkix.Name{CommonName: "Lab SCEP Decrypter"}, KeyUsage: x509.KeyUsageKeyEncipherment | x509.KeyUsageDataEncipherment,
	}, otherRSA().Public())
	if err != nil {
		t.Fatal(err)
	}
	write := func(name string, text []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	address := freeAddress(t)
	provisioner := func(name string, cipher int) map[string]any {
		return map[string]any{
			"type": "SCEP", "name": name, "challenge": "secret", "minimumPublicKeyLength": 2048, "encryptionAlgorithmIdentifier": cipher,
		}
	}
	ra := provisioner("ra", 1)
	ra["includeRoot"] = true
	ra["decrypterCertificate"] = base64.StdEncoding.EncodeToString(certPEM(decrypter))
	ra["decrypterKeyPEM"] = base64.StdEncoding.EncodeToString(keyPEM(t, otherRSA()))
	plain := provisioner("des", 0)
	delete(plain, "encryptionAlgorithmIdentifier") // as it comes
	config, err := json.Marshal(map[string]any{
		"root": write("root.crt", certPEM(top.Certificate)), "crt": write("int.crt", certPEM(ca.Certificate)),
		"key": write("int.key", keyPEM(t, ca.Key)), "address": freeAddress(t), "insecureAddress": address,
		"dnsNames": []string{"127.0.0.1"}, "logger": map[string]any{"format": "text"},
		"db":        map[string]any{"type": "badgerv2", "dataSource": filepath.Join(dir, "db")},
		"authority": map[string]any{"provisioners": []any{provisioner("aes", 2), ra, plain}},
		"tls":       map[string]any{"minVersion": 1.2},
	})
	if err != nil {
		t.Fatal(err)
	}
	url = "http://" + address + "/scep/"
	run(t, dir, url+"aes", program, write("ca.json", config))
	return url, top.Certificate, ca.Certificate
}

func certPEM(c *x509.Certificate) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})
}

func keyPEM(t testing.TB, key crypto.PrivateKey) []byte {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
}

// A lab is a peer and what a test expects of it.
type lab struct {
	client    *scep.Client
	recipient string // common name
	password  string // part of the failInfoText after a wrong password
	renewal   string // password that a renewal needs
}

func (l *lab) csr(t *testing.T, key crypto.Signer, password string) []byte {
	t.Helper()
	der, err := scep.NewCSR(&x509.CertificateRequest{
		Subject: pkix.Name{CommonName: "device 7"}, DNSNames: []string{"device7.test"},
	}, key, password)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

// enroll tries everything that a peer can do.
func (l *lab) enroll(t *testing.T, key, signer crypto.Signer) {
	t.Helper()
	c := l.client
	ca := asked(t, c)
	if ca.Recipient.Subject.CommonName != l.recipient {
		t.Errorf("encrypted to %s", ca.Recipient.Subject)
	}
	req := &scep.Request{CSR: l.csr(t, key, "wrong"), Signer: signer}
	_, err := c.Enroll(t.Context(), ca, req)
	if e := failed(t, err); e.FailInfo != scep.BadRequest || !strings.Contains(e.Message, l.password) || e.Retryable() {
		t.Errorf("wrong password: %v", err)
	}
	req.CSR = l.csr(t, key, "secret")

	strict := *c
	strict.AllowLegacy = false
	_, err = strict.Enroll(t.Context(), ca, req)
	if e := failed(t, err); !errors.Is(err, scep.ErrLegacy) || !strings.Contains(e.Remedy(), "older") {
		t.Errorf("SHA-1 without leave: %v", err)
	}
	reply, err := c.Enroll(t.Context(), ca, req)
	if err != nil {
		t.Fatal(err)
	}
	leaf := reply.Certificates[0]
	if reply.Status != scep.StatusSuccess || leaf.Subject.CommonName != "device 7" {
		t.Errorf("got %v, %s", reply.Status, leaf.Subject)
	}
	renewal := &scep.Request{CSR: l.csr(t, key, l.renewal), Signer: signer, Certificate: leaf}
	if !signer.Public().(*rsa.PublicKey).Equal(leaf.PublicKey) {
		return // the new certificate cannot sign the renewal
	}
	for _, as := range []scep.RenewAs{scep.RenewAuto, scep.RenewPKCSReq} {
		c.RenewAs = as
		renewed, err := c.Renew(t.Context(), ca, renewal)
		if err != nil {
			t.Errorf("renewal: %v", err)
			continue
		}
		if renewed.Certificates[0].Equal(leaf) {
			t.Error("renewal: the same certificate")
		}
	}
}

func (l *lab) enrollAll(t *testing.T) {
	message, ec := tpmKeys(t)
	for name, keys := range map[string][2]crypto.Signer{
		"software":           {testKey(), testKey()},
		"TPM":                {message, message},
		"TPM, P-256 for CSR": {ec, testKey()},
	} {
		t.Run(name, func(t *testing.T) { l.enroll(t, keys[0], keys[1]) })
	}
}

func TestMicromdm(t *testing.T) {
	t.Parallel()
	url, roots := micromdm(t, "scepserver-aes")
	l := &lab{client: &scep.Client{URL: url, Roots: roots, AllowLegacy: true}, recipient: "Lab SCEP CA", renewal: "secret"}
	l.enrollAll(t)
}

// TestMicromdmAsItComes uses micromdm's program in its default configuration,
// which answers in single DES, signed with SHA-1.
func TestMicromdmAsItComes(t *testing.T) {
	t.Parallel()
	url, roots := micromdm(t, "scepserver")
	l := &lab{client: &scep.Client{URL: url, Roots: roots, AllowLegacy: true}, recipient: "Lab SCEP CA", renewal: "secret"}
	l.enrollAll(t)
}

func TestStepCA(t *testing.T) {
	t.Parallel()
	url, root, issuing := stepCA(t)
	roots := pool([]*x509.Certificate{root})
	const wrong = "failed validating challenge password"
	t.Run("AES", func(t *testing.T) {
		l := &lab{&scep.Client{URL: url + "aes", Roots: roots, AllowLegacy: true}, issuing.Subject.CommonName, wrong, "secret"}
		l.enrollAll(t)
	})
	t.Run("decrypter", func(t *testing.T) {
		c := &scep.Client{URL: url + "ra", Roots: roots, AllowLegacy: true}
		ca, err := c.CA(t.Context(), "") // its decrypter's certificate names no purpose, and this is plain http
		if err != nil || ca.Recipient.Subject.CommonName != issuing.Subject.CommonName {
			t.Errorf("the decrypter is taken without being named: %v, %v", ca, err)
		}
		sent, err := c.GetCACert(t.Context(), "")
		if err != nil {
			t.Fatal(err)
		}
		for _, cert := range sent {
			if sum := sha256.Sum256(cert.Raw); cert.Subject.CommonName == "Lab SCEP Decrypter" {
				c.RAFingerprints = append(c.RAFingerprints, sum[:])
			}
		}
		l := &lab{c, "Lab SCEP Decrypter", wrong, "secret"}
		l.enrollAll(t)
	})
	t.Run("as it comes", func(t *testing.T) { // single DES
		l := &lab{&scep.Client{URL: url + "des", Roots: roots, AllowLegacy: true}, issuing.Subject.CommonName, wrong, "secret"}
		l.enrollAll(t)
	})
	t.Run("no such provisioner", func(t *testing.T) {
		c := &scep.Client{URL: url + "other", Roots: roots}
		_, err := c.CA(t.Context(), "")
		if e := failed(t, err); e.HTTPStatus < 400 || e.Op != "GetCACert" {
			t.Errorf("got %v", err)
		}
	})
}
