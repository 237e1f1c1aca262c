// Package exampletest runs examples in tests.
package exampletest

import (
	"bytes"
	"crypto/x509"
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"

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

// Explained runs a command that fails, and checks that it says so in one line, with the
// code of Windows by number and name, and in whole sentences what to do. It exits with 2
// if that is about a flag, and else with 1. Explained returns the line.
func Explained(t testing.TB, c *command.Command, args ...string) string {
	t.Helper()
	code, _, stderr := Run(t, c, args...)
	want := 1
	if strings.HasPrefix(stderr, c.Name+": -") {
		want = 2
	}
	if code != want || strings.Count(stderr, "\n") != 1 || !explained.MatchString(stderr) {
		t.Errorf("%s %q: exit code %d: %s", c.Name, args, code, stderr)
	}
	return stderr
}

var explained = regexp.MustCompile(`^[a-z]+: .*[^.] \(0x[0-9A-F]{8} [A-Z][0-9A-Z_]+\)(; may pass)?\. [A-Z].*\.\n$`)

// Help checks what a command says of itself: -h prints what the program does, in whole
// sentences, then the forms of its command line, the exit codes, and each flag with what
// it takes. A usage error is one line that ends in where to look. No line is longer
// than a wide terminal, but for the descriptions of flags.
func Help(t testing.TB, c *command.Command) {
	t.Helper()
	code, out, help := Run(t, c, "-h")
	about, rest, ok := strings.Cut(help, "\n\nUsage:\n  "+c.Name+" ")
	usage, flags, ok2 := strings.Cut(rest, "\n\nExit status: 0 ")
	switch {
	case code != 0 || out != "":
		t.Errorf("%s -h: exit code %d, standard output %q", c.Name, code, out)
	case !ok || !ok2 || !strings.HasPrefix(about, c.Name+" ") || !strings.HasSuffix(about, ".") || !strings.Contains(flags, "2 for wrong usage"):
		t.Errorf("%s -h does not say in order what the program does, how it is called and how it exits:\n%s", c.Name, help)
	case !strings.Contains(flags, "\n\nFlags:\n  -"):
		t.Errorf("%s -h has no flags:\n%s", c.Name, help)
	}
	for line := range strings.Lines(about + "\n" + usage) {
		if utf8.RuneCountInString(line) > 121 {
			t.Errorf("%s -h: %d characters: %s", c.Name, utf8.RuneCountInString(line), line)
		}
	}
	f := flag.NewFlagSet(c.Name, flag.ContinueOnError)
	c.Flags(f)
	f.VisitAll(func(f *flag.Flag) {
		value, usage := flag.UnquoteUsage(f)
		if usage == "" || value == "string" || value == "value" || value == "int" {
			t.Errorf("%s -%s takes a %q: %s", c.Name, f.Name, value, usage)
		}
		for _, secret := range []string{"TOKEN", "PASSWORD", "SECRET", "TICKET", "NAME:PASSWORD", "VALUE"} {
			if value == secret && !strings.Contains(usage, "@FILE") {
				t.Errorf("%s -%s takes a secret, and none in a @FILE: %s", c.Name, f.Name, usage)
			}
		}
		if strings.Contains(usage, "(PEM") && strings.Contains(usage, "TLS") && value == "FILE" && f.Name != "roots" && f.Name != "roots-out" && f.Name != "cert" && f.Name != "key" {
			t.Errorf("%s -%s is for what -roots is elsewhere", c.Name, f.Name)
		}
	})
	code, out, usageError := Run(t, c, "-no-such-flag")
	if code != 2 || out != "" || strings.Count(usageError, "\n") != 1 || !strings.HasPrefix(usageError, c.Name+": ") || !strings.HasSuffix(usageError, "; see "+c.Name+" -h\n") {
		t.Errorf("%s -no-such-flag: exit code %d, %q", c.Name, code, usageError)
	}
}
