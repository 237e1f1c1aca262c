package main

import (
	"bytes"
	"crypto/sha256"
	"crypto/x509"
	"fmt"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/whiteglove/whiteglove/examples/internal/command"
	"github.com/whiteglove/whiteglove/examples/internal/exampletest"
	"github.com/whiteglove/whiteglove/scep"
	"github.com/whiteglove/whiteglove/scep/sceptest"
)

// start starts s and returns the flags that name it and trust it.
func start(t *testing.T, s *sceptest.Server) []string {
	t.Helper()
	ts := httptest.NewServer(s)
	t.Cleanup(ts.Close)
	return []string{"-url", ts.URL, "-ca-fingerprint", fmt.Sprintf("%X", sha256.Sum256(s.Certificates()[0].Raw)), "-poll", "1ms"}
}

// call runs the program.
func call(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	return exampletest.Run(t, program(), args...)
}

// readCert reads the certificate that was written to dir.
func readCert(t *testing.T, dir string) *x509.Certificate {
	t.Helper()
	certs, err := command.ReadCertificates(filepath.Join(dir, "cert.pem"))
	if err != nil {
		t.Fatal(err)
	}
	return certs[0]
}

func TestEnroll(t *testing.T) {
	for _, key := range []string{"rsa2048", "p256", "tpm"} {
		t.Run(key, func(t *testing.T) {
			t.Parallel()
			var asked atomic.Int64
			server := &sceptest.Server{Password: "secret", Pending: func(*sceptest.Request) bool { return asked.Add(1) == 1 }}
			dir := t.TempDir()
			args := append(start(t, server), "-key", key, "-tpm", "soft:"+filepath.Join(dir, "tpm"), "-out", dir)
			code, out, errs := call(t, append(args, "-challenge", "@"+exampletest.File(t, []byte("secret\n")), "-subject", `CN=device 7,O=Lab\, Inc.`, "-dns", "a.test,b.test")...)
			if code != 0 || !strings.Contains(out, "pending") || !strings.Contains(out, "CN=device 7") {
				t.Fatalf("exit status %d: %s%s", code, out, errs)
			}
			cert := readCert(t, dir)
			if len(cert.DNSNames) != 2 || cert.Subject.Organization[0] != "Lab, Inc." {
				t.Errorf("got %s %q", cert.Subject, cert.DNSNames)
			}
			info, err := os.Stat(filepath.Join(dir, "key.pem"))
			if err != nil || info.Mode().Perm()&0o077 != 0 {
				t.Errorf("key.pem: %v, %v", info.Mode(), err)
			}
			code, out, errs = call(t, append(args, "-renew")...)
			if key == "p256" {
				if code != 2 || !strings.Contains(errs, "enroll again") {
					t.Errorf("renewal: exit status %d: %s", code, errs)
				}
				return
			}
			if code != 0 {
				t.Fatalf("renewal: exit status %d: %s%s; %q", code, out, errs, server.Refusals())
			}
			renewed := readCert(t, dir)
			if renewed.Subject.String() != cert.Subject.String() || len(renewed.DNSNames) != 2 ||
				bytes.Equal(renewed.RawSubjectPublicKeyInfo, cert.RawSubjectPublicKeyInfo) {
				t.Errorf("renewed %s", renewed.Subject)
			}
		})
	}
}

// The roots vouch for the server of an https URL, too.
func TestRootsOfTLS(t *testing.T) {
	server := new(sceptest.Server)
	ts := httptest.NewTLSServer(server)
	defer ts.Close()
	roots := exampletest.File(t, command.EncodeCertificates(append(server.Certificates(), ts.Certificate())...))
	if code, out, errs := call(t, "-url", ts.URL, "-roots", roots, "-caps"); code != 0 || !strings.Contains(out, "capabilities:") {
		t.Errorf("exit status %d: %s%s", code, out, errs)
	}
	roots = exampletest.File(t, command.EncodeCertificates(server.Certificates()...))
	if code, _, errs := call(t, "-url", ts.URL, "-roots", roots, "-caps"); code != 1 || !strings.Contains(errs, "certificate") {
		t.Errorf("exit status %d: %s", code, errs)
	}
}

func TestRefused(t *testing.T) {
	dir := t.TempDir()
	base := start(t, &sceptest.Server{Password: "secret"})
	old := start(t, &sceptest.Server{Caps: scep.Caps{"DES3", "SHA-1"}})
	for name, tt := range map[string]struct {
		args []string
		code int
		want string
	}{
		"password's file":   {append(base, "-out", dir, "-subject", "CN=a", "-challenge", "@"+filepath.Join(dir, "none")), 2, "no such file"},
		"wrong password":    {append(base, "-out", dir, "-subject", "CN=a", "-challenge", "x"), 1, "Check the challenge password"},
		"wrong fingerprint": {[]string{base[0], base[1], "-ca-fingerprint", strings.Repeat("00", 32), "-caps"}, 1, "; the server sent \"CN="},
		"odd fingerprint":   {[]string{base[0], base[1], "-ca-fingerprint", "x", "-caps"}, 2, "-ca-fingerprint"},
		"short fingerprint": {[]string{base[0], base[1], "-ca-fingerprint", "00:11", "-caps"}, 2, "-ca-fingerprint has 2 bytes: want the SHA-256"},
		"nothing to trust":  {[]string{base[0], base[1], "-out", dir, "-subject", "CN=a"}, 2, "nothing vouches for the CA: give -ca-fingerprint or -roots"},
		"no roots":          {append(base, "-caps", "-roots", filepath.Join(dir, "none")), 2, "-roots"},
		"old algorithms":    {append(old, "-out", dir, "-subject", "CN=a"), 1, ". The flag -legacy permits them.\n"},
		"nothing to renew":  {append(base, "-out", dir, "-renew"), 1, "cert.pem"},
		"no URL":            {nil, 2, "-url is required"},
		"no subject":        {append(base, "-out", dir), 2, "-subject is required, also with -dns"},
		"no folder":         {append(base, "-subject", "CN=a"), 2, "-out is required"},
		"bad subject":       {append(base, "-out", dir, "-subject", "device"), 2, "not like CN=device"},
		"unknown attribute": {append(base, "-out", dir, "-subject", "X=1"), 2, "not one of"},
		"unknown key":       {append(base, "-out", dir, "-subject", "CN=a", "-key", "dsa"), 2, "want rsa2048"},
		"unknown flag":      {append(base, "-x"), 2, "there is no flag -x"},
		"an argument":       {append(base, "-caps", "x"), 2, "unexpected argument"},
		"no patience":       {append(base, "-caps", "-timeout", "0s"), 2, "must be positive"},
	} {
		code, _, errs := call(t, tt.args...)
		if code != tt.code || !strings.Contains(errs, tt.want) || code == 1 && strings.Count(errs, "\n") != 1 {
			t.Errorf("%s: exit status %d: %s", name, code, errs)
		}
		if files, err := os.ReadDir(dir); err != nil || len(files) != 0 {
			t.Errorf("%s: files were written: %v, %v", name, files, err)
		}
	}
	if code, out, errs := call(t, append(old, "-out", dir, "-subject", "CN=a", "-legacy")...); code != 0 {
		t.Errorf("with -legacy: exit status %d: %s%s", code, out, errs)
	}
	if code, _, _ := call(t, "-h"); code != 0 {
		t.Errorf("-h: exit status %d", code)
	}
}

func TestCaps(t *testing.T) {
	for _, tt := range []struct {
		server *sceptest.Server
		legacy bool
		want   []string
	}{
		{&sceptest.Server{RA: true}, false, []string{
			"capabilities: AES ", "encrypt to:   CN=RA Encryption Certificate", "signed by:    CN=RA Signing Certificate",
			"would use:    SHA-256, AES-128-CBC, POST, RenewalReq\n",
		}},
		{&sceptest.Server{Caps: scep.Caps{"SHA-512", "AES256"}}, false, []string{"would use:    SHA-512, AES-256-CBC, GET, PKCSReq for renewals\n"}},
		{&sceptest.Server{Caps: scep.Caps{"DES3"}}, false, []string{"would use:    nothing: ", "(-legacy)"}},
		{&sceptest.Server{Caps: scep.Caps{"DES3"}}, true, []string{"would use:    SHA-1, 3DES-CBC, GET"}},
	} {
		args := append(start(t, tt.server), "-caps")
		if tt.legacy {
			args = append(args, "-legacy")
		}
		code, out, errs := call(t, args...)
		if code != 0 {
			t.Errorf("exit status %d: %s", code, errs)
		}
		for _, want := range tt.want {
			if !strings.Contains(out, want) {
				t.Errorf("no %q in %s", want, out)
			}
		}
	}
}

// What a server supports is shown without anything that vouches for it, with the
// fingerprint to compare.
func TestCapsOfStranger(t *testing.T) {
	server := new(sceptest.Server)
	ts := httptest.NewServer(server)
	defer ts.Close()
	code, out, errs := call(t, "-url", ts.URL, "-caps")
	if want := fmt.Sprintf("SHA-256 %x\n", sha256.Sum256(server.Certificates()[0].Raw)); code != 0 || errs != "" || !strings.HasPrefix(out, "capabilities: ") || !strings.Contains(out, want) || !strings.Contains(out, "\nwould use:    SHA-256") || !strings.Contains(out, "\nnot verified: ") {
		t.Errorf("exit status %d: %s%s", code, out, errs)
	}
}

// A CA for which the flags do not vouch is shown, too, and is an error.
func TestCapsOfAnother(t *testing.T) {
	base := start(t, &sceptest.Server{RA: true})
	for name, args := range map[string][]string{
		"fingerprint": {"-ca-fingerprint", strings.Repeat("00", 32)},
		"roots":       {"-roots", exampletest.File(t, command.EncodeCertificates(new(sceptest.Server).Certificates()...))},
	} {
		code, out, errs := call(t, append([]string{base[0], base[1], "-caps"}, args...)...)
		if code != 1 || !strings.Contains(out, "certificate:  CN=") || !strings.Contains(out, "\nnot verified: ") || !strings.Contains(errs, "not trusted") || strings.Contains(errs, "with -caps") || strings.Contains(errs, "Also: ") {
			t.Errorf("%s: exit status %d: %s%s", name, code, out, errs)
		}
	}
}

// What the program says of itself, and of wrong flags.
func TestHelp(t *testing.T) { exampletest.Help(t, program()) }

// A server that does not answer is reported with code and remedy.
func TestExplained(t *testing.T) {
	exampletest.Explained(t, program(), "-url", "https://127.0.0.1:1", "-caps")
}
