// Package exampletest runs examples in tests.
package exampletest

import (
	"bytes"
	"context"
	"crypto/x509"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/whiteglove/whiteglove/examples/internal/command"
	"github.com/whiteglove/whiteglove/provision/provisiontest"
)

// Run runs a command and returns its exit code and what it printed.
func Run(t testing.TB, c *command.Command, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	code = c.Run(t.Context(), args, &out, &errs)
	return code, out.String(), errs.String()
}

// File writes a file that is removed after the test, and returns its name.
func File(t testing.TB, text []byte) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(name, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

// Roots writes certificates to a PEM file, and returns its name.
func Roots(t testing.TB, certs ...*x509.Certificate) string {
	t.Helper()
	return File(t, command.EncodeCertificates(certs...))
}

// StartMock starts a mock server that is stopped after the test, and writes its
// roots to a PEM file.
func StartMock(t testing.TB, config provisiontest.Config) (server *provisiontest.Server, roots string) {
	t.Helper()
	server, err := provisiontest.Start("127.0.0.1:0", config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		server.Close(ctx)
	})
	return server, Roots(t, server.Roots...)
}
