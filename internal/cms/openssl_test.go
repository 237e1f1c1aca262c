package cms_test

import (
	"bytes"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/whiteglove/whiteglove/internal/cms"
)

// openssl runs openssl in dir.
func openssl(t *testing.T, dir string, args ...string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "openssl", args...)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("openssl %q: %v\n%s", args, err, out)
	}
}

// bench returns a directory with files of a key, its certificate and content.
func bench(t *testing.T) (dir string, who *identity, content []byte) {
	t.Helper()
	// LibreSSL and OpenSSL 1 have no authenticated encryption in CMS.
	if out, err := exec.CommandContext(t.Context(), "openssl", "version").CombinedOutput(); err != nil || !regexp.MustCompile(`^OpenSSL ([3-9]|\d\d)`).Match(out) {
		if os.Getenv("WHITEGLOVE_REQUIRE_TOOLS") != "" {
			t.Fatalf("OpenSSL 3 is required: %v: %s", err, out)
		}
		t.Skipf("OpenSSL 3 is not installed: no comparison with it: %v: %s", err, out)
	}
	dir, who = t.TempDir(), rsaIdentity(t)
	content = make([]byte, 16384)
	_, _ = rand.Read(content)
	key, err := x509.MarshalPKCS8PrivateKey(rsaKey())
	if err != nil {
		t.Fatal(err)
	}
	for name, data := range map[string][]byte{
		"k.pem":   pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key}),
		"c.pem":   pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: who.cert.Raw}),
		"content": content,
	} {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir, who, content
}

func read(t *testing.T, dir, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestReadOpenSSL(t *testing.T) {
	dir, who, content := bench(t)
	for name, options := range map[string][]string{
		"plain":     nil,
		"stream":    {"-stream"},
		"key ID":    {"-keyid"},
		"SHA-512":   {"-md", "sha512", "-stream"},
		"no S/MIME": {"-nosmimecap"},
	} {
		args := append([]string{"cms", "-sign", "-binary", "-nodetach", "-in", "content", "-signer", "c.pem", "-inkey", "k.pem", "-outform", "DER", "-out", "s"}, options...)
		openssl(t, dir, args...)
		s, err := cms.ParseSigned(read(t, dir, "s"))
		if err != nil {
			t.Errorf("signed, %s: %v", name, err)
			continue
		}
		if err := s.Verify(who.cert, false); err != nil || !bytes.Equal(s.Content, content) {
			t.Errorf("signed, %s: %v, %d bytes", name, err, len(s.Content))
		}
	}
	openssl(t, dir, "cms", "-sign", "-noattr", "-binary", "-nodetach", "-in", "content", "-signer", "c.pem", "-inkey", "k.pem", "-outform", "DER", "-out", "s")
	if _, err := cms.ParseSigned(read(t, dir, "s")); err == nil {
		t.Error("signed without attributes: taken")
	}
	for name, options := range map[string][]string{
		"AES-128":    {"-aes128", "-recip", "c.pem"},
		"stream":     {"-aes128", "-stream", "-recip", "c.pem"},
		"AES-256":    {"-aes256", "-recip", "c.pem"},
		"key ID":     {"-aes128", "-keyid", "-recip", "c.pem"},
		"OAEP":       {"-aes256", "-recip", "c.pem", "-keyopt", "rsa_padding_mode:oaep"},
		"OAEP SHA-2": {"-aes256", "-recip", "c.pem", "-keyopt", "rsa_padding_mode:oaep", "-keyopt", "rsa_oaep_md:sha256"},
		"OAEP mixed": {"-aes128", "-recip", "c.pem", "-keyopt", "rsa_padding_mode:oaep", "-keyopt", "rsa_oaep_md:sha256", "-keyopt", "rsa_mgf1_md:sha1"},
	} {
		args := append([]string{"cms", "-encrypt", "-binary", "-in", "content", "-outform", "DER", "-out", "e"}, options...)
		openssl(t, dir, args...)
		got, err := cms.Decrypt(read(t, dir, "e"), who.cert, rsaKey())
		if err != nil || !bytes.Equal(got, content) {
			t.Errorf("encrypted, %s: %v, %d bytes", name, err, len(got))
		}
	}
	openssl(t, dir, "cms", "-encrypt", "-des3", "-binary", "-in", "content", "-outform", "DER", "-out", "e", "-recip", "c.pem")
	if _, err := cms.Decrypt(read(t, dir, "e"), who.cert, rsaKey()); err == nil {
		t.Error("triple DES: taken")
	}
	e, err := cms.ParseEnveloped(read(t, dir, "e"))
	if err != nil {
		t.Fatal(err)
	}
	if got, err := e.Decrypt(who.cert, rsaKey(), true); err != nil || !bytes.Equal(got, content) {
		t.Errorf("triple DES, permitted: %v, %d bytes", err, len(got))
	}
	openssl(t, dir, "cms", "-encrypt", "-aes-128-gcm", "-binary", "-in", "content", "-outform", "DER", "-out", "e", "-recip", "c.pem")
	if _, err := cms.Decrypt(read(t, dir, "e"), who.cert, rsaKey()); err == nil {
		t.Error("AuthEnvelopedData: taken")
	}
	openssl(t, dir, "crl2pkcs7", "-nocrl", "-certfile", "c.pem", "-outform", "DER", "-out", "b")
	if certs, bad, err := cms.ParseBag(read(t, dir, "b")); err != nil || len(bad) > 0 || len(certs) != 1 {
		t.Errorf("bag: %v, %v", err, bad)
	}
}

func TestOpenSSLReads(t *testing.T) {
	dir, who, content := bench(t)
	write := func(name string, der []byte, err error) {
		t.Helper()
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, name), der, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	der, err := cms.Sign(&cms.Message{Content: content, Certificate: who.cert}, who.key)
	write("s", der, err)
	openssl(t, dir, "cms", "-verify", "-binary", "-inform", "DER", "-in", "s", "-CAfile", "c.pem", "-purpose", "any", "-out", "out")
	if !bytes.Equal(read(t, dir, "out"), content) {
		t.Error("signed: another content")
	}
	for _, c := range []cms.Cipher{cms.AES128CBC, cms.AES256CBC, cms.DES3CBC} {
		der, err = cms.Encrypt(content, who.cert, c)
		write("e", der, err)
		openssl(t, dir, "cms", "-decrypt", "-inform", "DER", "-in", "e", "-recip", "c.pem", "-inkey", "k.pem", "-out", "out")
		if !bytes.Equal(read(t, dir, "out"), content) {
			t.Errorf("%v: another content", c)
		}
	}
	der, err = cms.Bag([]*x509.Certificate{who.cert, ecIdentity(t).cert})
	write("b", der, err)
	openssl(t, dir, "pkcs7", "-inform", "DER", "-in", "b", "-print_certs", "-noout")
}
