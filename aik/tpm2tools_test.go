//go:build unix

package aik_test

import (
	"bytes"
	"crypto"
	"encoding/binary"
	"encoding/hex"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-tpm/tpm2/transport"

	"github.com/whiteglove/whiteglove/aik"
	"github.com/whiteglove/whiteglove/attest"
	"github.com/whiteglove/whiteglove/attest/attesttest"
)

// If these variables are set, a test fails for want of a program.
const (
	requireTools = "WHITEGLOVE_REQUIRE_TOOLS"
	requireSWTPM = "WHITEGLOVE_REQUIRE_SWTPM"
)

// A toolbox is tpm2-tools with a TPM of their own.
type toolbox struct {
	dir  string
	tcti string
}

// newToolbox skips the test if the tools or an swtpm for them are missing or do
// not work together, or fails it if they are required.
func newToolbox(t *testing.T) *toolbox {
	t.Helper()
	unable := func(must string, err error, out []byte) {
		t.Helper()
		if os.Getenv(must) != "" {
			t.Fatalf("%v: %s", err, out)
		}
		t.Skipf("tpm2-tools and swtpm do not work here (Debian: apt-get install tpm2-tools libtss2-tcti-swtpm0 swtpm): %v: %s", err, out)
	}
	for program, must := range map[string]string{
		"tpm2_getrandom": requireTools, "tpm2_loadexternal": requireTools, "tpm2_makecredential": requireTools, "tpm2_verifysignature": requireTools,
		"swtpm": requireSWTPM,
	} {
		if _, err := exec.LookPath(program); err != nil {
			unable(must, err, nil)
		}
	}
	dir, err := os.MkdirTemp("", "wg") // the path of a socket must be short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	socket := filepath.Join(dir, "tpm")
	swtpm := exec.Command("swtpm", "socket", "--tpm2", "--tpmstate", "dir="+dir,
		"--server", "type=unixio,path="+socket, "--ctrl", "type=unixio,path="+socket+".ctrl", "--flags", "not-need-init,startup-clear")
	if err := swtpm.Start(); err != nil {
		unable(requireSWTPM, err, nil)
	}
	t.Cleanup(func() {
		_ = swtpm.Process.Kill()
		_ = swtpm.Wait()
	})
	for range 100 {
		if _, err := os.Stat(socket); err == nil {
			break
		}
		time.Sleep(20 * time.Millisecond)
	}
	b := &toolbox{dir, "swtpm:path=" + socket}
	if out, err := b.command("tpm2_getrandom", "--hex", "4").CombinedOutput(); err != nil {
		unable(requireTools, err, out)
	}
	return b
}

// file writes a file and returns its name.
func (b *toolbox) file(t *testing.T, name string, data []byte) string {
	t.Helper()
	name = filepath.Join(b.dir, name)
	if err := os.WriteFile(name, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

// run runs a tool, which must succeed.
func (b *toolbox) run(t *testing.T, tool string, args ...string) {
	t.Helper()
	if out, err := b.command(tool, args...).CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", tool, err, out)
	}
}

func (b *toolbox) command(tool string, args ...string) *exec.Cmd {
	cmd := exec.Command(tool, args...)
	cmd.Dir = b.dir
	cmd.Env = append(os.Environ(), "TPM2TOOLS_TCTI="+b.tcti)
	return cmd
}

// A backend is a TPM whose work the tools judge, not their own.
type backend func(*testing.T) transport.TPM

func emulated(t *testing.T) transport.TPM {
	t.Helper()
	tpm, err := attesttest.New(attesttest.Config{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { tpm.Close() })
	return tpm
}

func onSWTPM(t *testing.T) transport.TPM {
	t.Helper()
	tpm, err := attesttest.StartSWTPM("")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { tpm.Close() })
	return tpm
}

// prefixed returns a TPM2B.
func prefixed(b []byte) []byte {
	return append(binary.BigEndian.AppendUint16(nil, uint16(len(b))), b...)
}

// TestToolsVerify has tpm2-tools check the statement on an attestation key's
// creation: the TPM knows the key by the name in it, and the signature holds.
func TestToolsVerify(t *testing.T) {
	for _, tt := range []struct {
		name     string
		template attest.Template
		hash     string
		on       backend
	}{
		{"RSA", rsaAIK, "sha256", emulated},
		{"as Windows's", aik.WindowsTemplate(), "sha1", emulated},
		{"P-256", attest.Template{Algorithm: attest.P256, Usage: attest.Attest}, "sha256", emulated},
		{"RSA on swtpm", rsaAIK, "sha256", onSWTPM},
		{"P-256 on swtpm", attest.Template{Algorithm: attest.P256, Usage: attest.Attest}, "sha256", onSWTPM},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := newToolbox(t)
			d := deviceOn(t, tt.on(t), isRSA, tt.template)
			b.file(t, "pub", prefixed(d.AIKCreation.PublicArea))
			b.run(t, "tpm2_loadexternal", "-C", "n", "-u", "pub", "-c", "key", "-n", "name")
			name, err := os.ReadFile(filepath.Join(b.dir, "name"))
			if err != nil || !bytes.Equal(name, d.key.Name()) || !bytes.Contains(d.AIKCreation.Attest, prefixed(name)) {
				t.Errorf("the tools name the key %x, we %x; %v", name, d.key.Name(), err)
			}
			b.file(t, "attest", d.AIKCreation.Attest)
			b.file(t, "signature", d.AIKCreation.Signature)
			verify := []string{"-c", "key", "-g", tt.hash, "-m", "attest", "-s", "signature"}
			b.run(t, "tpm2_verifysignature", verify...)
			other := bytes.Clone(d.AIKCreation.Attest)
			other[len(other)-1] ^= 1
			b.file(t, "attest", other)
			if out, err := b.command("tpm2_verifysignature", verify...).CombinedOutput(); err == nil {
				t.Errorf("another statement is verified: %s", out)
			}
		})
	}
}

// TestToolsMakeCredential opens credentials that tpm2-tools made.
func TestToolsMakeCredential(t *testing.T) {
	for _, tt := range []struct {
		name string
		ek   func(crypto.PublicKey) bool
		on   backend
	}{
		{"RSA", isRSA, emulated},
		{"P-256", isCurve(256), emulated},
		{"P-384", isCurve(384), emulated},
		{"RSA on swtpm", isRSA, onSWTPM},
		{"P-256 on swtpm", isCurve(256), onSWTPM},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := newToolbox(t)
			d := deviceOn(t, tt.on(t), tt.ek, rsaAIK)
			want := []byte("a secret of tpm2_makecredential ")
			b.file(t, "ek", prefixed(d.ek.PublicArea))
			b.file(t, "secret", want)
			b.run(t, "tpm2_makecredential", "-u", "ek", "-s", "secret", "-n", hex.EncodeToString(d.key.Name()), "-o", "credential")
			text, err := os.ReadFile(filepath.Join(b.dir, "credential"))
			if err != nil {
				t.Fatal(err)
			}
			c := readCredential(t, text)
			got, err := d.activate(t.Context(), c)
			if err != nil || !bytes.Equal(got, want) {
				t.Errorf("got %q, %v", got, err)
			}
			c.Blob[len(c.Blob)-1] ^= 1
			if _, err := d.activate(t.Context(), c); err == nil {
				t.Error("a changed credential is opened")
			}
		})
	}
}

// readCredential reads a file of tpm2_makecredential: magic, version,
// TPM2B_ID_OBJECT, TPM2B_ENCRYPTED_SECRET.
func readCredential(t *testing.T, in []byte) *attest.Credential {
	t.Helper()
	rest, ok := bytes.CutPrefix(in, []byte{0xba, 0xdc, 0xc0, 0xde, 0, 0, 0, 1})
	part := func() []byte {
		if len(rest) < 2 || len(rest) < 2+int(binary.BigEndian.Uint16(rest)) {
			t.Fatalf("credential %x", in)
		}
		n := 2 + int(binary.BigEndian.Uint16(rest))
		out := rest[2:n]
		rest = rest[n:]
		return out
	}
	c := &attest.Credential{Blob: part(), EncryptedSecret: part()}
	if !ok || strings.Trim(string(rest), "\x00") != "" {
		t.Fatalf("credential %x", in)
	}
	return c
}
