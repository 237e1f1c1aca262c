package command

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"flag"
	"io"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A file that was cut or damaged is said to be so, and is not taken as far as it goes.
func TestReadPEM(t *testing.T) {
	block := EncodeCertificates(named(t, "Root"))
	middle := len(block) / 2
	for name, c := range map[string]struct {
		text []byte
		want string
	}{
		"whole":         {append([]byte("a server\n"), block...), ""},
		"cut":           {block[:middle], "its PEM ends in the middle of a block: take the whole file"},
		"cut second":    {append(bytes.Clone(block), block[:middle]...), "its PEM ends in the middle of a block"},
		"cut last line": {block[:len(block)-10], "its PEM ends in the middle of a block"},
		"damaged":       {append(bytes.Replace(bytes.Clone(block), []byte("A"), []byte("*"), 1), block...), "a block of its PEM is damaged"},
		"not PEM":       {[]byte("hello"), "name a file in PEM"},
		"empty":         {nil, "name a file in PEM"},
	} {
		file := filepath.Join(t.TempDir(), "x.pem")
		if err := os.WriteFile(file, c.text, 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := ReadCertificates(file)
		_, kerr := ReadKeys(file)
		for _, err := range []error{err, kerr} {
			if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
				t.Errorf("%s: %v, want %q", name, err, c.want)
			}
		}
	}
}

// named returns a certificate that issued itself.
func named(t *testing.T, name string) *x509.Certificate {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, c, c, key.Public(), key)
	if err == nil {
		c, err = x509.ParseCertificate(der)
	}
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// If a server leads to none of the roots in -roots, the message says so.
func TestRootsHint(t *testing.T) {
	server := named(t, "Root")
	refused := &tls.CertificateVerificationError{UnverifiedCertificates: []*x509.Certificate{server}, Err: x509.UnknownAuthorityError{}}
	for name, c := range map[string]struct {
		root *x509.Certificate
		err  error
		want string
	}{
		"another key":   {named(t, "Root"), refused, `(-roots) has a root "CN=Root", but with another key: the file is of another server, or from before this one was set up anew.`},
		"another name":  {named(t, "Other"), refused, `(-roots) has none of the server's issuers.`},
		"the same":      {server, refused, ""},
		"another error": {named(t, "Other"), errors.New("no"), ""},
	} {
		file := filepath.Join(t.TempDir(), "roots.pem")
		if err := os.WriteFile(file, EncodeCertificates(c.root), 0o600); err != nil {
			t.Fatal(err)
		}
		program := &Command{
			Name: "x", Timeout: 1, Flags: func(f *flag.FlagSet) { f.String("roots", "", "`FILE`") },
			Do: func(context.Context, io.Writer, io.Writer) error { return c.err },
		}
		var stderr strings.Builder
		program.Run(t.Context(), []string{"-roots", file}, io.Discard, &stderr)
		if c.want == "" && strings.Contains(stderr.String(), "(-roots) has") || !strings.Contains(stderr.String(), c.want) {
			t.Errorf("%s: %q, want %q", name, stderr.String(), c.want)
		}
	}
}
