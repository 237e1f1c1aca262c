package drstest_test

import (
	"crypto"
	"crypto/rsa"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/whiteglove/whiteglove/drs/internal/joincsr"
	"github.com/whiteglove/whiteglove/internal/rsablob"
)

// unwrap decrypts the encrypted key of a JWE.
func unwrap(jwe string, tk *rsa.PrivateKey) ([]byte, error) {
	parts := strings.Split(jwe, ".")
	if len(parts) != 5 {
		return nil, errors.New("no JWE")
	}
	wrapped, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		return nil, err
	}
	return tk.Decrypt(nil, wrapped, &rsa.OAEPOptions{Hash: crypto.SHA1})
}

// versions are the programs of the tests, each with the argument that prints its version and a
// pattern for that.
var versions = map[string]struct {
	arg  string
	want *regexp.Regexp
}{
	"openssl": {"version", regexp.MustCompile(`^OpenSSL ([3-9]|\d\d)`)}, // not LibreSSL
	"python3": {"--version", regexp.MustCompile(`^Python 3`)},
}

// run runs a program and returns its output. If the program is missing, fails or has another
// version, it skips the test, or fails it if the program is required.
func run(t *testing.T, name string, args ...string) string {
	t.Helper()
	version := versions[name]
	if out, err := exec.CommandContext(t.Context(), name, version.arg).CombinedOutput(); err != nil || !version.want.Match(out) {
		if os.Getenv("WHITEGLOVE_REQUIRE_TOOLS") != "" {
			t.Fatalf("%s: want %s: %v: %s", name, version.want, err, out)
		}
		t.Skipf("%s: want %s: %v: %s", name, version.want, err, out)
	}
	out, err := exec.CommandContext(t.Context(), name, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v: %s", name, err, out)
	}
	return string(out)
}

// OpenSSL reads the device certificate and the certificate request.
func TestOpenSSL(t *testing.T) {
	r := newRig(t)
	dev := r.joined()
	file := filepath.Join(t.TempDir(), "device.der")
	if err := os.WriteFile(file, dev.Certificate.Raw, 0o600); err != nil {
		t.Fatal(err)
	}
	text := run(t, "openssl", "x509", "-inform", "DER", "-in", file, "-noout", "-text")
	for _, want := range []string{"CN = " + dev.ID, "MS-Organization-Access", "TLS Web Client Authentication", "1.2.840.113556.1.5.284.5", "CA:FALSE"} {
		if !strings.Contains(strings.ReplaceAll(text, "CN=", "CN = "), want) {
			t.Errorf("%q is not in %s", want, text)
		}
	}
	asn1 := run(t, "openssl", "asn1parse", "-inform", "DER", "-in", file)
	id := strings.ReplaceAll(dev.ID, "-", "")
	little := id[6:8] + id[4:6] + id[2:4] + id[:2] + id[10:12] + id[8:10] + id[14:16] + id[12:14] + id[16:]
	if !strings.Contains(asn1, strings.ToUpper("048110"+little)) {
		t.Errorf("no device identifier %s in %s", little, asn1)
	}
	csr, err := joincsr.New(r.device.dk, "nonce")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, csr, 0o600); err != nil {
		t.Fatal(err)
	}
	if text = run(t, "openssl", "req", "-inform", "DER", "-in", file, "-noout", "-verify", "-text"); !strings.Contains(text, "7E980AD9-B86D-4306-9425-9AC066FB014A") || !strings.Contains(text, "1.2.840.113556.1.5.284.2.1") {
		t.Errorf("request %s", text)
	}
}

// A Python program that follows Windows' declaration of BCRYPT_RSAKEY_BLOB reads the transport
// key.
func TestPythonBlob(t *testing.T) {
	key := &softRSA(t, 3).PublicKey
	const script = `
import struct, sys
b = bytes.fromhex(sys.argv[1])
magic, bits, e, n, p, q = struct.unpack_from("<4sIIIII", b)
assert magic == b"RSA1" and p == 0 and q == 0 and len(b) == 24 + e + n
print(bits, int.from_bytes(b[24:24 + e], "big"), "%x" % int.from_bytes(b[24 + e:], "big"))
`
	got := strings.TrimSpace(run(t, "python3", "-c", script, hex.EncodeToString(rsablob.Marshal(key))))
	if want := "2048 65537 " + key.N.Text(16); got != want {
		t.Errorf("got %s", got)
	}
}
