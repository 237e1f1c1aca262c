// Package exampletest runs examples in tests.
package exampletest

import (
	"bytes"
	"crypto/x509"
	"os"
	"path/filepath"
	"testing"

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

// StartMock starts a mock server, which is stopped after the test. It returns the
// PEM file of its roots.
func StartMock(t testing.TB, server *provisiontest.Server) (roots string) {
	t.Helper()
	if err := server.Start(""); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.Close() })
	return Roots(t, server.Roots...)
}
