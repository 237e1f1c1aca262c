package attest_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/x509"
	"encoding/binary"
	"encoding/hex"
	"encoding/pem"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-tpm/tpm2/transport"

	"github.com/whiteglove/whiteglove/attest"
)

// Tools runs tpm2-tools on a TPM.
type tools struct{ *openSSL }

// newTools skips the test if the tools are missing or do not reach a TPM, or
// fails it if they are required.
func newTools(t *testing.T, tr transport.TPM) tools {
	t.Helper()
	unable := func(err error, out []byte) {
		t.Helper()
		if os.Getenv("WHITEGLOVE_REQUIRE_TOOLS") != "" {
			t.Fatalf("tpm2-tools are required: %v: %s", err, out)
		}
		t.Skipf("tpm2-tools do not work here (Debian: apt-get install tpm2-tools libtss2-tcti-swtpm0): %v: %s", err, out)
	}
	for _, name := range []string{"tpm2_checkquote", "tpm2_create", "tpm2_encodeobject", "tpm2_getrandom", "tpm2_load"} {
		if _, err := exec.LookPath(name); err != nil {
			unable(err, nil)
		}
	}
	o := tools{newOpenSSL(t, tr)}
	if out, err := o.try("tpm2_getrandom", "--hex", "4"); err != nil {
		unable(err, out)
	}
	return o
}

func (o tools) try(name string, args ...string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = o.dir
	cmd.Env = append(os.Environ(), "TPM2TOOLS_TCTI=swtpm:path="+filepath.Join(o.dir, "s"))
	return cmd.CombinedOutput()
}

func (o tools) run(t *testing.T, name string, args ...string) []byte {
	t.Helper()
	out, err := o.try(name, args...)
	if err != nil {
		t.Fatalf("%s %v: %v\n%s", name, args, err, out)
	}
	return out
}

// toolsPCRs returns the PCRs as tpm2_quote writes them: the C structures
// TPML_PCR_SELECTION, then a count of TPML_DIGEST and these, of 8 each,
// little-endian.
func toolsPCRs(q *attest.Quote) []byte {
	le := binary.LittleEndian
	b := le.AppendUint32(nil, 1)
	b = append(le.AppendUint16(b, 0x0B), 3, 0xFF, 0xFF, 0xFF, 0, 0)
	b = append(b, make([]byte, 4+16*8-len(b))...)
	b = le.AppendUint32(b, uint32(len(q.PCRs)/8))
	for i, v := range q.PCRs {
		if i%8 == 0 {
			b = le.AppendUint32(b, 8)
		}
		b = append(append(le.AppendUint16(b, uint16(len(v))), v...), make([]byte, 64-len(v))...)
	}
	return b
}

// tpm2_checkquote accepts our quotes with the values of the PCRs, and refuses
// them for another nonce and for other values.
func TestToolsCheckQuote(t *testing.T) {
	forBackends(t, "ready", func(t *testing.T, tr transport.TPM) {
		o := newTools(t, tr)
		tpm := &attest.TPM{Transport: tr}
		for name, tmpl := range map[string]attest.Template{"RSA": {Usage: attest.Attest}, "P-256": {Algorithm: attest.P256, Usage: attest.Attest}} {
			aik := create(t, tpm, tmpl)
			q := quotes(t, tpm, aik, crypto.SHA256)
			spki, err := x509.MarshalPKIXPublicKey(aik.Public())
			if err != nil {
				t.Fatal(err)
			}
			o.file(t, "aik.pem", pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: spki}))
			o.file(t, "quote", q.Attest)
			o.file(t, "signature", q.Signature)
			o.file(t, "pcrs", toolsPCRs(q))
			args := []string{"-u", "aik.pem", "-m", "quote", "-s", "signature", "-g", "sha256", "-f", "pcrs", "-q"}
			if out, err := o.try("tpm2_checkquote", append(args, hex.EncodeToString([]byte("nonce")))...); err != nil {
				t.Errorf("%s: %v\n%s", name, err, out)
			}
			if out, err := o.try("tpm2_checkquote", append(args, "00")...); err == nil {
				t.Errorf("%s, another nonce: %s", name, out)
			}
			q.PCRs[5][0] ^= 1
			o.file(t, "pcrs", toolsPCRs(q))
			if out, err := o.try("tpm2_checkquote", append(args, hex.EncodeToString([]byte("nonce")))...); err == nil {
				t.Errorf("%s, other PCRs: %s", name, out)
			}
		}
	})
}

// tpm2-tools use our key files, and we use theirs, with and without an
// authorization value.
func TestToolsKeyFile(t *testing.T) {
	forBackends(t, "ready", func(t *testing.T, tr transport.TPM) {
		o := newTools(t, tr)
		tpm := &attest.TPM{Transport: tr}
		k := create(t, tpm, attest.Template{Algorithm: attest.P256, Usage: attest.Sign})
		text, err := k.MarshalText()
		if err != nil {
			t.Fatal(err)
		}
		o.file(t, "key.pem", text)
		if strings.Contains(t.Name(), "swtpm") { // tpm2_load saves a context, which the emulator cannot
			o.run(t, "tpm2_load", "-r", "key.pem", "-c", "context", "-n", "name")
			flushAll(t, tr) // they leave things loaded, without a resource manager
			if name, err := os.ReadFile(filepath.Join(o.dir, "name")); err != nil || !bytes.Equal(name, k.Name()) {
				t.Errorf("tpm2_load names the key %x, we %x; %v", name, k.Name(), err)
			}
		}
		for _, auth := range []string{"", "value"} {
			args := []string{"-C", "0x81000001", "-G", "ecc256", "-u", "pub", "-r", "priv", "-a", "fixedtpm|fixedparent|sensitivedataorigin|userwithauth|noda|sign"}
			encode := []string{"-C", "0x81000001", "-u", "pub", "-r", "priv", "-o", "its.pem"}
			if auth != "" {
				args, encode = append(args, "-p", auth), append(encode, "-p")
			}
			o.run(t, "tpm2_create", args...)
			o.run(t, "tpm2_encodeobject", encode...)
			flushAll(t, tr)
			text, err := os.ReadFile(filepath.Join(o.dir, "its.pem"))
			if err != nil {
				t.Fatal(err)
			}
			its, err := tpm.LoadKey(t.Context(), text)
			if err != nil {
				t.Fatalf("%v\n%s", err, text)
			}
			signs(t, its.WithAuth([]byte(auth))) // tpm2-tools 5.4 write emptyAuth FALSE for all keys
			area, err := os.ReadFile(filepath.Join(o.dir, "pub"))
			if err != nil || len(area) < 2 || int(binary.BigEndian.Uint16(area)) != len(area)-2 || !bytes.Equal(area[2:], its.PublicArea()) {
				t.Errorf("public area %x, %v", area, err)
			}
			for _, name := range []string{"pub", "priv", "its.pem"} {
				if err := os.Remove(filepath.Join(o.dir, name)); err != nil {
					t.Fatal(err)
				}
			}
		}
		noneLoaded(t, tr)
	})
}
