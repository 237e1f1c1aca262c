package main

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/whiteglove/whiteglove/drs/drstest"
	"github.com/whiteglove/whiteglove/examples/internal/command"
	"github.com/whiteglove/whiteglove/examples/internal/exampletest"
	"github.com/whiteglove/whiteglove/provision/provisiontest"
)

// await waits for a file and returns its text.
func await(t *testing.T, name string) string {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		if text, err := os.ReadFile(name); err == nil {
			return strings.TrimSpace(string(text))
		}
	}
	t.Fatalf("no %s", name)
	return ""
}

// A running is a mockserver in a goroutine.
type running struct {
	url    string
	client *http.Client // trusts it
	roots  int          // how many roots it wrote
	stop   func() (code int, stdout, stderr string)
}

// serve runs mockserver until stop is called.
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
	r := &running{url: await(t, ready)}
	certs, err := command.ReadCertificates(roots)
	if err != nil {
		t.Fatal(err)
	}
	r.roots, r.client = len(certs), command.HTTPClient(command.Pool(certs))
	r.stop = func() (int, string, string) {
		r.client.CloseIdleConnections()
		cancel()
		return <-code, stdout.String(), stderr.String()
	}
	return r
}

func TestServe(t *testing.T) {
	s := serve(t)
	if s.roots != 5 {
		t.Errorf("%d roots", s.roots)
	}
	for path, want := range map[string]int{
		"/drs/contoso.test/Discover?api-version=1.9":                        200,
		"/drs/other.test/Discover?api-version=1.9":                          400,
		provisiontest.DiscoveryPath:                                         200,
		provisiontest.MakerPath + "?operation=GetCACaps":                    200,
		"/aik/intc-keyid-00/templates/Aik/scep?operation=GetCACaps&message": 404,
		"/nothing": 404,
	} {
		res, err := s.client.Get(s.url + path)
		if err != nil {
			t.Fatal(err)
		}
		io.Copy(io.Discard, res.Body)
		res.Body.Close()
		if res.StatusCode != want {
			t.Errorf("%s: %s, want %d", path, res.Status, want)
		}
	}
	if code, stdout, stderr := s.stop(); code != 0 || !strings.Contains(stdout, s.url) {
		t.Errorf("exit %d: %s%s", code, stdout, stderr)
	}
}

// TestFault checks that faults are met in their order, as often as they say.
func TestFault(t *testing.T) {
	s := serve(t, "-fault", "tls:expired", "-fault", "discover:503:2")
	url := s.url + provisiontest.DirectoryPath + "/" + provisiontest.Tenant + "/Discover?api-version=1.9"
	for _, want := range []string{"expired", "503", "503", "200"} {
		res, err := s.client.Get(url)
		got := ""
		if err != nil {
			got = err.Error()
		} else {
			got = res.Status
			res.Body.Close()
		}
		if !strings.Contains(got, want) {
			t.Errorf("want %s, got %s", want, got)
		}
	}
	if code, _, stderr := s.stop(); code != 0 || !strings.Contains(stderr, "fault") {
		t.Errorf("exit %d: %s", code, stderr)
	}
}

// A password may be in a file, which the list of processes does not show.
func TestPasswordFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(file, []byte("from a file\r\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	s := serve(t, "-user", "alice@contoso.test:@"+file)
	defer s.stop()
	for password, want := range map[string]int{"from a file": 200, "@" + file: 400} {
		res, err := s.client.PostForm(s.url+"/drs/contoso.test/oauth2/token", url.Values{
			"grant_type": {"password"}, "username": {"alice@contoso.test"}, "password": {password}, "client_id": {"29d9ed98-a469-4536-ade2-f981bc1d605e"}, "resource": {drstest.JoinResource},
		})
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if res.StatusCode != want {
			t.Errorf("%q: %s", password, res.Status)
		}
	}
}

// The help says first what the program does and how it ends.
func TestHelp(t *testing.T) {
	exampletest.Help(t, program())
	_, _, stderr := exampletest.Run(t, program(), "-h")
	if !strings.HasPrefix(stderr, "mockserver is every party") || strings.Index(stderr, "Exit status") > strings.Index(stderr, "-addr") || !strings.Contains(stderr, "-public") {
		t.Error(stderr)
	}
}

func TestUsage(t *testing.T) {
	missing := filepath.Join(t.TempDir(), "none")
	if _, _, stderr := exampletest.Run(t, program(), "-fault", "foo:503"); !strings.HasPrefix(stderr, "mockserver: -fault \"foo:503\": no requests belong to a step \"foo\": want one of tls, profile, ") || !strings.HasSuffix(stderr, "; see mockserver -h\n") {
		t.Error(stderr)
	}
	for _, c := range []struct {
		args []string
		code int
	}{
		{[]string{"-h"}, 0},
		{[]string{"-what"}, 2},
		{[]string{"extra"}, 2},
		{[]string{"-user", "name"}, 2},
		{[]string{"-user", "name:secret"}, 2},
		{[]string{"-fault", "join"}, 2},
		{[]string{"-fault", "keys:503"}, 2},
		{[]string{"-fault", "join:200"}, 2},
		{[]string{"-fault", "join:lost:0"}, 2},
		{[]string{"-fault", "join:nonce"}, 2},
		{[]string{"-fault", "tls:503"}, 2},
		{[]string{"-ek-roots", missing}, 2},
		{[]string{"-admit", missing}, 2},
		{[]string{"-user", "alice@contoso.test:@" + missing}, 2},
		{[]string{"-addr", "nowhere"}, 2},
		{[]string{"-addr", "127.0.0.1"}, 2},
		{[]string{"-ready-file", filepath.Join(missing, "url")}, 2},
		{[]string{"-roots-out", filepath.Join(missing, "roots")}, 2},
		{[]string{"-addr", "host.invalid:1"}, 1},
	} {
		if code, stdout, stderr := exampletest.Run(t, program(), c.args...); code != c.code {
			t.Errorf("%q: exit %d, want %d: %s%s", c.args, code, c.code, stdout, stderr)
		}
	}
}
