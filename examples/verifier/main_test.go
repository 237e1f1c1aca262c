package main

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/whiteglove/whiteglove/attest"
	"github.com/whiteglove/whiteglove/attest/attesttest"
	"github.com/whiteglove/whiteglove/ekcert"
	"github.com/whiteglove/whiteglove/examples/internal/command"
	"github.com/whiteglove/whiteglove/examples/internal/exampletest"
	"github.com/whiteglove/whiteglove/verify"
	"github.com/whiteglove/whiteglove/verify/verifytest"
)

// A running is a verifier in a goroutine.
type running struct {
	url    string
	client *http.Client // trusts it
	token  string
	stop   func() (code int, stdout string)
}

// serve runs the program until stop is called.
func serve(t *testing.T, args ...string) *running {
	t.Helper()
	dir := t.TempDir()
	ready, roots := filepath.Join(dir, "url"), filepath.Join(dir, "roots.pem")
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(cancel)
	code := make(chan int, 1)
	var stdout, stderr bytes.Buffer
	go func() {
		code <- program().Run(ctx, append(args, "-ready-file", ready, "-roots-out", roots), &stdout, &stderr)
	}()
	for end := time.Now().Add(30 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		if _, err := os.Stat(ready); err == nil {
			break
		}
		if time.Now().After(end) {
			t.Fatal("it does not listen")
		}
	}
	url, err := os.ReadFile(ready)
	check(t, err)
	certs, err := command.ReadCertificates(roots)
	check(t, err)
	r := &running{url: strings.TrimSpace(string(url)), client: command.HTTPClient(command.Pool(certs))}
	r.stop = func() (int, string) {
		r.client.CloseIdleConnections()
		cancel()
		return <-code, stdout.String() + stderr.String()
	}
	return r
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// send sends a message and reads the answer, which is a verdict unless the status is 200.
func (r *running) send(t *testing.T, path string, m, answer verify.Message) (status int) {
	t.Helper()
	var body bytes.Buffer
	check(t, verify.Encode(&body, m))
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, r.url+path, &body)
	check(t, err)
	if r.token != "" {
		req.Header.Set("Authorization", "Bearer "+r.token)
	}
	res, err := r.client.Do(req)
	check(t, err)
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		answer = new(verify.Verdict)
	}
	check(t, verify.Decode(res.Body, answer))
	if v, ok := answer.(*verify.Verdict); ok && v.Trusted != (res.StatusCode == http.StatusOK) {
		t.Errorf("%s: %s, %+v", path, res.Status, v)
	}
	return res.StatusCode
}

// A machine is a device with an emulated TPM.
type machine struct {
	tpm *attest.TPM
	ek  *attest.EK
	aik *attest.Key
}

func newMachine(t *testing.T) *machine {
	t.Helper()
	chip, err := attesttest.New(attesttest.Config{})
	check(t, err)
	t.Cleanup(func() { chip.Close() })
	check(t, verifytest.Boot(chip, verifytest.EventLog()))
	m := &machine{tpm: &attest.TPM{Transport: chip}}
	m.aik, err = m.tpm.CreateKey(t.Context(), attest.Template{Algorithm: attest.P256, Usage: attest.Attest})
	check(t, err)
	for ek, err := range m.tpm.EKs(t.Context()) {
		check(t, err)
		m.ek = ek
		break
	}
	return m
}

func (m *machine) hello(t *testing.T) *verify.Hello {
	t.Helper()
	cert, err := new(ekcert.Client).Find(t.Context(), m.tpm, "", m.ek.Public)
	check(t, err)
	h := &verify.Hello{EKCertificate: cert.Raw, EKPublicArea: m.ek.PublicArea, AIKCreation: m.aik.Creation()}
	for _, c := range attesttest.Certificates() {
		h.Issuers = append(h.Issuers, c.Raw)
	}
	return h
}

// attest runs the exchange until a status is not 200.
func (m *machine) attest(t *testing.T, r *running) (status int) {
	t.Helper()
	var c verify.Challenge
	if status := r.send(t, "/hello", m.hello(t), &c); status != 200 {
		return status
	}
	secret, err := m.tpm.Activator(m.ek, m.aik)(t.Context(), c.Blob, c.EncryptedSecret)
	check(t, err)
	var q verify.Request
	if status := r.send(t, "/answer", &verify.Answer{ID: c.ID, Secret: secret}, &q); status != 200 {
		return status
	}
	return m.prove(t, r, &q)
}

func (m *machine) prove(t *testing.T, r *running, q *verify.Request) (status int) {
	t.Helper()
	e, err := q.Evidence(t.Context(), m.tpm, m.aik)
	check(t, err)
	e.EventLog = verifytest.EventLog()
	return r.send(t, "/evidence", e, new(verify.Verdict))
}

// TestServe lets a device attest twice and learns a policy from it, to which it holds
// another verifier's devices.
func TestServe(t *testing.T) {
	policy := filepath.Join(t.TempDir(), "policy.json")
	s := serve(t, "-learn", policy)
	m := newMachine(t)
	if status := m.attest(t, s); status != 200 {
		t.Errorf("status %d", status)
	}
	again := &verify.Again{Device: (&verify.Device{AIKPublicArea: m.aik.PublicArea()}).ID()}
	var q verify.Request
	if s.send(t, "/again", again, &q) != 200 || m.prove(t, s, &q) != 200 || m.attest(t, s) != 200 {
		t.Error("not a second and a third time")
	}
	for path, want := range map[string]int{"/answer": 409, "/evidence": 409, "/again": 404, "/hello": 400} {
		var in verify.Message
		switch path {
		case "/answer":
			in = new(verify.Answer)
		case "/evidence":
			in = &verify.Evidence{Device: q.Device, Quote: &attest.Quote{Bank: q.Bank}}
		case "/again":
			in = new(verify.Again)
		default:
			in = &verify.Again{} // another message
		}
		if status := s.send(t, path, in, new(verify.Verdict)); status != want {
			t.Errorf("%s: %d, want %d", path, status, want)
		}
	}
	code, out := s.stop()
	if code != 0 || !strings.Contains(out, "secure boot on, 3 boot loaders\n") || !strings.Contains(out, "started 0 times since\n") || strings.Count(out, "policy written") != 1 {
		t.Errorf("exit %d: %s", code, out)
	}

	s = serve(t, "-policy", policy)
	if status := m.attest(t, s); status != 200 {
		t.Errorf("with the policy: %d", status)
	}
	other := newMachine(t)
	chip, err := attesttest.New(attesttest.Config{})
	check(t, err)
	defer chip.Close()
	other.tpm.Transport = chip // which was started without anything
	if status := other.attest(t, s); status != 403 {
		t.Errorf("started otherwise: %d", status)
	}
	if code, out := s.stop(); code != 0 || !strings.Contains(out, "\nrefused: device 000b") || !strings.Contains(out, ": check: policy is not met: PCRs 0, 4, 5 and 7 have other values") {
		t.Errorf("exit %d: %s", code, out)
	}
}

// TestToken serves only who has the token.
func TestToken(t *testing.T) {
	s := serve(t, "-token", "@"+exampletest.File(t, []byte("secret\n")))
	defer s.stop()
	m := newMachine(t)
	for token, want := range map[string]int{"": 401, "other": 401, "secret": 200} {
		s.token = token
		if status := m.attest(t, s); status != want {
			t.Errorf("%q: %d, want %d", token, status, want)
		}
	}
}

// A TPM of an unknown maker is refused with what helps for the value of -ek-roots.
func TestUnknownMaker(t *testing.T) {
	m := newMachine(t)
	s := serve(t, "-ek-roots", "makers")
	if status := m.attest(t, s); status != 403 {
		t.Errorf("status %d", status)
	}
	const want = "With -ek-roots makers: make a file of ekcert/roots/bundle.pem and the maker's root certificate"
	if _, out := s.stop(); !strings.Contains(out, want) || strings.Contains(out, "to the file of -ek-roots") {
		t.Error(out)
	}
	untrusted := &ekcert.Error{Op: "verify", Err: ekcert.ErrUntrusted}
	for roots, want := range map[string]string{"": "give -ek-roots makers, or a file", "roots.pem": "(to the file of -ek-roots)"} {
		if got := (&service{untrusted: (&options{ekRoots: roots}).untrusted()}).refusal("x", untrusted); !strings.Contains(got, want) {
			t.Errorf("%q: %s", roots, got)
		}
	}
}

// TestStatus has errors that the other tests do not meet.
func TestStatus(t *testing.T) {
	for err, want := range map[error]int{verify.ErrFull: 503, errCapacity: 503, errors.New("other"): 403} {
		if got := status(err); got != want {
			t.Errorf("%v: %d", err, got)
		}
	}
	if v := verdict(&verify.Error{Op: "challenge", Err: verify.ErrFull}); !v.Retryable || v.Trusted {
		t.Errorf("%+v", v)
	}
	d := &verify.Device{AIKPublicArea: newMachine(t).aik.PublicArea()}
	for _, tt := range []struct {
		r    verify.Result
		want string
	}{
		{verify.Result{}, "no event log"},
		{verify.Result{Boot: &verify.Boot{Unknown: "x"}, Firmware: "1.2"}, "secure boot unknown, 0 boot loaders, firmware 1.2"},
		{verify.Result{Boot: new(verify.Boot)}, "secure boot off, 0 boot loaders"},
	} {
		if got := summary(d, &tt.r); !strings.HasSuffix(got, ", "+tt.want) {
			t.Errorf("%q, want %q", got, tt.want)
		}
	}
}

func TestUsage(t *testing.T) {
	missing := filepath.Join(t.TempDir(), "none")
	text := exampletest.File(t, []byte("text"))
	for _, c := range []struct {
		args []string
		code int
	}{
		{[]string{"-h"}, 0},
		{[]string{"extra"}, 2},
		{[]string{"-cert", "x"}, 2},
		{[]string{"-key", "x"}, 2},
		{[]string{"-cert", "x", "-key", "y", "-roots-out", "z"}, 2},
		{[]string{"-learn", filepath.Join(missing, "policy")}, 2},
		{[]string{"-addr", "nowhere"}, 2},
		{[]string{"-addr", "host.invalid:0"}, 1},
		{[]string{"-ek-roots", missing}, 2},
		{[]string{"-policy", missing}, 2},
		{[]string{"-policy", text}, 2},
		{[]string{"-token", "@" + missing}, 2},
		{[]string{"-token", "@" + exampletest.File(t, nil)}, 2},
		{[]string{"-token", ""}, 2},
		{[]string{"-cert", missing, "-key", missing}, 2},
	} {
		if code, stdout, stderr := exampletest.Run(t, program(), c.args...); code != c.code {
			t.Errorf("%q: exit %d, want %d: %s%s", c.args, code, c.code, stdout, stderr)
		}
	}
	if client, err := (&options{ekRoots: "makers"}).makers(); err != nil || client.Roots["INTC"] == nil || client.Roots[attesttest.Vendor] != nil {
		t.Errorf("%+v, %v", client, err)
	}
}

// What is wrong with a file is said with its flag.
func TestBadFiles(t *testing.T) {
	text := exampletest.File(t, []byte("text"))
	der := func(key any) []byte {
		der, err := x509.MarshalPKCS8PrivateKey(key)
		check(t, err)
		return der
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	check(t, err)
	other := exampletest.File(t, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der(key)}))
	locked := exampletest.File(t, pem.EncodeToMemory(&pem.Block{Type: "ENCRYPTED PRIVATE KEY", Bytes: []byte{0}}))
	broken := exampletest.File(t, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: []byte{0}}))
	_, root, err := (&options{addr: "localhost:0"}).certificate()
	check(t, err)
	cert := exampletest.File(t, root)
	for _, tt := range []struct {
		args []string
		want string
	}{
		{[]string{"-cert", text, "-key", other}, "-cert: " + text + ": no certificate in it"},
		{[]string{"-cert", cert, "-key", text}, "-key " + text + ": no private key (PEM) in it: name the file with the key of the certificate in -cert\n"},
		{[]string{"-cert", cert, "-key", cert}, "-key " + cert + ": no private key (PEM) in it"},
		{[]string{"-cert", cert, "-key", locked}, "the key is encrypted: give one without a password"},
		{[]string{"-cert", cert, "-key", other}, "-key " + other + " is not the key of the first certificate in -cert " + cert + ": name the two that were made for each other, the server's own certificate first\n"},
		{[]string{"-cert", cert, "-key", broken}, "Take the key again from where it came"},
		{[]string{"-cert", cert, "-key", text + "-none"}, "-key: open "},
		{[]string{"-policy", text}, "-policy " + text + ": it is not JSON, at line 1, column 2. Correct the file; docs/verifier.md shows a policy\n"},
		{[]string{"-policy", exampletest.File(t, []byte("{}"))}, ": it has no \"type\": want \"policy\". Correct the file; docs/verifier.md shows a policy\n"},
		{[]string{"-policy", exampletest.File(t, []byte(`{"v":1,"type":"policy","x":1}`))}, ": there is no field \"x\". Correct its name; docs/verifier.md shows a policy\n"},
		{[]string{"-policy", exampletest.File(t, nil)}, "the file is empty: docs/verifier.md shows a policy, and verifier -learn writes one\n"},
		{[]string{"-ek-roots", text}, "-ek-roots: "},
		{[]string{"-ek-roots", "maker"}, "-ek-roots maker: there is no such file: write makers for the roots"},
		{[]string{"-ek-roots", "MAKERS"}, "-ek-roots MAKERS: there is no such file: write makers for the roots"},
	} {
		code, _, stderr := exampletest.Run(t, program(), tt.args...)
		if code != 2 || !strings.HasPrefix(stderr, "verifier: -") || !strings.Contains(stderr, tt.want) || strings.Count(stderr, "\n") != 1 {
			t.Errorf("%q: exit %d: %s", tt.args, code, stderr)
		}
	}
}

// What the program says of itself, and of wrong flags.
func TestHelp(t *testing.T) { exampletest.Help(t, program()) }

// A file that is not there is reported with code and remedy.
func TestExplained(t *testing.T) {
	exampletest.Explained(t, program(), "-cert", "none", "-key", "none")
}
