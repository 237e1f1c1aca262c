package attest_test

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/pem"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-tpm/tpm2/transport"

	"github.com/whiteglove/whiteglove/attest"
	"github.com/whiteglove/whiteglove/internal/tooltest"
)

// openssl's TPM provider reads our key files, and we read its.
func TestOpenSSL(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("the provider is tried on Linux only")
	}
	if out, err := newOpenSSL(t, emulator(t, "ready")).try("list", "-providers"); err != nil {
		if os.Getenv("WHITEGLOVE_REQUIRE_TOOLS") != "" {
			t.Fatalf("openssl with its TPM provider is required: %s", firstLine(out))
		}
		t.Skipf("openssl with its TPM provider is not installed (Debian: apt-get install tpm2-openssl libtss2-tcti-swtpm0): %s", firstLine(out))
	}
	for _, state := range []string{"ready", "fresh"} {
		forBackends(t, state, func(t *testing.T, tr transport.TPM) {
			o := newOpenSSL(t, tr)
			for name, tmpl := range map[string]attest.Template{
				"RSA":   {Usage: attest.Sign},
				"SCEP":  {Usage: attest.Sign | attest.Decrypt},
				"P-256": {Algorithm: attest.P256, Usage: attest.Sign},
				"AIK":   {Algorithm: attest.P256, Usage: attest.Attest},
			} {
				t.Run(name, func(t *testing.T) { o.reads(t, tr, tmpl) })
			}
			t.Run("password", func(t *testing.T) { o.asks(t, tr) })
			if strings.Contains(t.Name(), "/swtpm/") {
				t.Run("dgst", func(t *testing.T) { o.hashes(t, tr) })
			}
			t.Run("its key", func(t *testing.T) { o.writes(t, tr) })
			noneLoaded(t, tr)
		})
	}
}

func firstLine(b []byte) string {
	s, _, _ := strings.Cut(strings.TrimSpace(string(b)), "\n")
	return s
}

// An openSSL runs openssl on a TPM.
type openSSL struct{ dir string }

func newOpenSSL(t *testing.T, tr transport.TPM) *openSSL {
	t.Helper()
	return &openSSL{dir: filepath.Dir(tooltest.ServeTPM(t, tr))}
}

func (o *openSSL) run(t *testing.T, args ...string) []byte {
	t.Helper()
	out, err := o.try(args...)
	if err != nil {
		t.Fatalf("openssl %v: %v\n%s", args, err, out)
	}
	return out
}

func (o *openSSL) try(args ...string) ([]byte, error) {
	return o.tool(append(args, "-provider", "tpm2", "-provider", "default")...)
}

// tool runs openssl with just these arguments.
func (o *openSSL) tool(args ...string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, "openssl", args...)
	cmd.Env = append(os.Environ(), "TPM2OPENSSL_TCTI=swtpm:path="+filepath.Join(o.dir, "s"))
	return cmd.CombinedOutput()
}

func (o *openSSL) file(t *testing.T, name string, data []byte) string {
	t.Helper()
	path := filepath.Join(o.dir, name)
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// reads has openssl load and use a key of ours.
func (o *openSSL) reads(t *testing.T, tr transport.TPM, tmpl attest.Template) {
	k := create(t, &attest.TPM{Transport: tr}, tmpl)
	text, err := k.MarshalText()
	if err != nil {
		t.Fatal(err)
	}
	key := o.file(t, "key.pem", text)
	block, _ := pem.Decode(o.run(t, "pkey", "-in", key, "-pubout"))
	if block == nil {
		t.Fatal("no public key")
	}
	pub, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil || !k.Public().(interface{ Equal(crypto.PublicKey) bool }).Equal(pub) {
		t.Fatalf("openssl reads another key: %v", err)
	}
	message := []byte("a message")
	if tmpl.Usage&attest.Sign != 0 {
		sigFile := filepath.Join(o.dir, "sig")
		digest := sha256.Sum256(message)
		o.run(t, "pkeyutl", "-sign", "-inkey", key, "-pkeyopt", "digest:sha256", "-in", o.file(t, "digest", digest[:]), "-out", sigFile)
		sig, err := os.ReadFile(sigFile)
		if err != nil {
			t.Fatal(err)
		}
		switch pub := pub.(type) {
		case *rsa.PublicKey:
			err = rsa.VerifyPKCS1v15(pub, crypto.SHA256, digest[:], sig)
		case *ecdsa.PublicKey:
			if !ecdsa.VerifyASN1(pub, digest[:], sig) {
				err = rsa.ErrVerification
			}
		}
		if err != nil {
			t.Errorf("signature by openssl: %v", err)
		}
	}
	if tmpl.Usage&attest.Decrypt != 0 {
		//lint:ignore SA1019 what the provider does without being told
		box, err := rsa.EncryptPKCS1v15(rand.Reader, pub.(*rsa.PublicKey), message)
		if err != nil {
			t.Fatal(err)
		}
		out := filepath.Join(o.dir, "out")
		o.run(t, "pkeyutl", "-decrypt", "-inkey", key, "-in", o.file(t, "box", box), "-out", out)
		if got, err := os.ReadFile(out); string(got) != string(message) || err != nil {
			t.Errorf("decrypted by openssl: %q, %v", got, err)
		}
	}
}

// asks has openssl sign with a key of ours that has an authorization value.
func (o *openSSL) asks(t *testing.T, tr transport.TPM) {
	k := create(t, &attest.TPM{Transport: tr}, attest.Template{Algorithm: attest.P256, Usage: attest.Sign, Auth: []byte("secret")})
	text, err := k.MarshalText()
	if err != nil {
		t.Fatal(err)
	}
	key, out := o.file(t, "locked.pem", text), filepath.Join(o.dir, "locked.sig")
	digest := sha256.Sum256([]byte("a message"))
	sign := func(password string) ([]byte, error) {
		return o.try("pkeyutl", "-sign", "-inkey", key, "-passin", "pass:"+password, "-pkeyopt", "digest:sha256",
			"-in", o.file(t, "digest", digest[:]), "-out", out)
	}
	if text, err := sign("secret"); err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	sig, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	if !ecdsa.VerifyASN1(k.Public().(*ecdsa.PublicKey), digest[:], sig) {
		t.Error("signature by openssl is wrong")
	}
	if _, err := sign("wrong"); err == nil {
		t.Error("openssl signs with a wrong value")
	}
}

// hashes has openssl hash and sign with a key that has an authorization value. The
// provider hashes in the TPM, which the emulator does not offer.
func (o *openSSL) hashes(t *testing.T, tr transport.TPM) {
	for name, tmpl := range map[string]attest.Template{
		"RSA":   {Usage: attest.Sign, Auth: []byte("secret")},
		"P-256": {Algorithm: attest.P256, Usage: attest.Sign, Auth: []byte("secret")},
	} {
		k := create(t, &attest.TPM{Transport: tr}, tmpl)
		text, err := k.MarshalText()
		if err != nil {
			t.Fatal(err)
		}
		public, err := x509.MarshalPKIXPublicKey(k.Public())
		if err != nil {
			t.Fatal(err)
		}
		message, sig := o.file(t, "message", []byte("a message")), filepath.Join(o.dir, "dgst.sig")
		// dgst takes what stands behind the name of a file as more names.
		sign := func(password string) ([]byte, error) {
			return o.tool("dgst", "-provider", "tpm2", "-provider", "default", "-propquery", "?provider=tpm2",
				"-sha256", "-sign", o.file(t, "locked.pem", text), "-passin", "pass:"+password, "-out", sig, message)
		}
		if out, err := sign("secret"); err != nil {
			t.Fatalf("%s: %v\n%s", name, err, out)
		}
		key := o.file(t, "public.pem", pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: public}))
		if out, err := o.tool("dgst", "-sha256", "-verify", key, "-signature", sig, message); err != nil {
			t.Errorf("%s: %v\n%s", name, err, out)
		}
		if _, err := sign("wrong"); err == nil {
			t.Errorf("%s: openssl signs with a wrong value", name)
		}
	}
}

// writes has openssl make a key, which we load and use.
func (o *openSSL) writes(t *testing.T, tr transport.TPM) {
	path := filepath.Join(o.dir, "its.pem")
	o.run(t, "genpkey", "-algorithm", "EC", "-pkeyopt", "group:P-256", "-out", path)
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	k, err := (&attest.TPM{Transport: tr}).LoadKey(context.Background(), text)
	if err != nil {
		t.Fatal(err)
	}
	digest := sha256.Sum256([]byte("a message"))
	sig, err := k.Sign(nil, digest[:], crypto.SHA256)
	if err != nil {
		t.Fatal(err)
	}
	if !ecdsa.VerifyASN1(k.Public().(*ecdsa.PublicKey), digest[:], sig) {
		t.Error("signature with openssl's key is wrong")
	}
}
