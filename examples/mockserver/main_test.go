package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/whiteglove/whiteglove/examples/internal/device"
	"github.com/whiteglove/whiteglove/provision/provisiontest"
)

// await returns what is written to a file.
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

func TestServe(t *testing.T) {
	dir := t.TempDir()
	ready, roots := filepath.Join(dir, "url"), filepath.Join(dir, "roots.pem")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	code := make(chan int, 1)
	var stdout, stderr bytes.Buffer
	go func() { code <- run(ctx, []string{"-ready-file", ready, "-roots-out", roots}, &stdout, &stderr) }()
	url := await(t, ready)
	certs, err := device.ReadCertificates(roots)
	if err != nil || len(certs) != 4 {
		t.Fatalf("%d roots, %v", len(certs), err)
	}
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: provisiontest.Pool(certs)}}}
	for path, want := range map[string]int{
		"/drs/contoso.test/Discover?api-version=1.9":                        200,
		"/drs/other.test/Discover?api-version=1.9":                          400,
		provisiontest.DiscoveryPath:                                         200,
		provisiontest.MakerPath + "?operation=GetCACaps":                    200,
		"/aik/intc-keyid-00/templates/Aik/scep?operation=GetCACaps&message": 404,
		"/nothing": 404,
	} {
		res, err := client.Get(url + path)
		if err != nil {
			t.Fatal(err)
		}
		io.Copy(io.Discard, res.Body)
		res.Body.Close()
		if res.StatusCode != want {
			t.Errorf("%s: %s, want %d", path, res.Status, want)
		}
	}
	client.CloseIdleConnections()
	cancel()
	if c := <-code; c != 0 || !strings.Contains(stdout.String(), url) {
		t.Errorf("exit %d: %s%s", c, stdout.String(), stderr.String())
	}
}

// Faults are met in their order, as often as they say.
func TestFault(t *testing.T) {
	dir := t.TempDir()
	ready, roots := filepath.Join(dir, "url"), filepath.Join(dir, "roots.pem")
	ctx, cancel := context.WithCancel(t.Context())
	code := make(chan int, 1)
	var stdout, stderr bytes.Buffer
	go func() {
		code <- run(ctx, []string{"-ready-file", ready, "-roots-out", roots, "-fault", "tls:expired", "-fault", "discover:503:2"}, &stdout, &stderr)
	}()
	url := await(t, ready) + provisiontest.DirectoryPath + "/" + provisiontest.Tenant + "/Discover?api-version=1.9"
	certs, err := device.ReadCertificates(roots)
	if err != nil {
		t.Fatal(err)
	}
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: provisiontest.Pool(certs)}}}
	for _, want := range []string{"expired", "503", "503", "200"} {
		res, err := client.Get(url)
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
	client.CloseIdleConnections()
	cancel()
	if c := <-code; c != 0 || !strings.Contains(stderr.String(), "fault") {
		t.Errorf("exit %d: %s", c, stderr.String())
	}
}

func TestUsage(t *testing.T) {
	missing := filepath.Join(t.TempDir(), "none")
	for _, c := range []struct {
		args []string
		code int
	}{
		{[]string{"-h"}, 0},
		{[]string{"-what"}, 2},
		{[]string{"extra"}, 2},
		{[]string{"-user", "name"}, 2},
		{[]string{"-fault", "join"}, 2},
		{[]string{"-fault", "keys:503"}, 2},
		{[]string{"-fault", "join:200"}, 2},
		{[]string{"-fault", "join:lost:0"}, 2},
		{[]string{"-fault", "join:nonce"}, 2},
		{[]string{"-fault", "tls:503"}, 2},
		{[]string{"-ek-roots", missing}, 1},
		{[]string{"-admit", missing}, 1},
		{[]string{"-addr", "nowhere"}, 1},
	} {
		var out bytes.Buffer
		if code := run(t.Context(), c.args, &out, &out); code != c.code {
			t.Errorf("%q: exit %d, want %d: %s", c.args, code, c.code, out.String())
		}
	}
}
