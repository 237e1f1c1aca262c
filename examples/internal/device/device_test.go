package device_test

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-tpm/tpm2/transport"

	"github.com/whiteglove/whiteglove/attest"
	"github.com/whiteglove/whiteglove/attest/attesttest"
	"github.com/whiteglove/whiteglove/diagnose"
	"github.com/whiteglove/whiteglove/ekcert"
	"github.com/whiteglove/whiteglove/examples/internal/device"
)

// A failing transport answers nothing.
type failing struct{ err error }

func (f failing) Send([]byte) ([]byte, error) { return nil, f.err }

// An answering transport answers always the same.
type answering []byte

func (a answering) Send([]byte) ([]byte, error) { return a, nil }

// TestErrnos has each error of the operating system at each place where a TPM is used. No
// advice speaks of what has nothing to do with a TPM.
func TestErrnos(t *testing.T) {
	for _, err := range []error{
		syscall.EIO, syscall.ETIME, syscall.ETIMEDOUT, syscall.ENODEV, syscall.ENXIO, syscall.EPIPE, syscall.ECONNRESET, syscall.ECONNREFUSED,
		syscall.EBUSY, syscall.ENOENT, syscall.ENOTDIR, syscall.EISDIR, syscall.EACCES, syscall.EPERM, syscall.EINVAL, syscall.ENOMEM, syscall.EBADF,
		io.EOF, io.ErrUnexpectedEOF, fs.ErrClosed, errors.New("something else"), fmt.Errorf("%w of 3 bytes", errors.New("malformed answer")),
	} {
		for _, wrapped := range []error{err, &fs.PathError{Op: "read", Path: "/dev/tpm0", Err: err}, &net.OpError{Op: "read", Net: "unix", Err: os.NewSyscallError("read", err)}} {
			everywhere(t, failing{wrapped}, fmt.Sprintf("%T %v", wrapped, err))
		}
	}
	for name, answer := range map[string]answering{
		"nothing": nil, "short": {0x80}, "text": answering("HTTP/1.1 400 Bad Request\r\n\r\n"),
		"wrong tag": {0x80, 2, 0, 0, 0, 10, 0, 0, 0, 0}, "TPM 1.2": {0, 0xC4, 0, 0, 0, 10, 0, 0, 0, 0x1E},
		"empty": {0x80, 1, 0, 0, 0, 10, 0, 0, 0, 0},
	} {
		everywhere(t, answer, name)
	}
}

// everywhere uses a TPM that fails at every place.
func everywhere(t *testing.T, tr transport.TPM, name string) {
	t.Helper()
	good, err := attesttest.New(attesttest.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer good.Close()
	tpm := &attest.TPM{Transport: good}
	k, err := tpm.CreateKey(t.Context(), attest.Template{Algorithm: attest.P256, Usage: attest.Attest})
	if err != nil {
		t.Fatal(err)
	}
	text, err := k.MarshalText()
	if err != nil {
		t.Fatal(err)
	}
	ek, err := attest.DefaultEK(attesttest.DefaultMaker().Root().PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	tpm.Transport = tr
	_, info := tpm.Info(t.Context())
	_, nv := tpm.ReadNV(t.Context(), 0x01C00002)
	_, created := tpm.CreateKey(t.Context(), attest.Template{Usage: attest.Sign})
	_, loaded := tpm.LoadKey(t.Context(), text)
	_, certified := tpm.Certify(t.Context(), k, k, nil)
	_, opened := tpm.ActivateCredential(t.Context(), ek, k, &attest.Credential{Blob: []byte{1}, EncryptedSecret: []byte{1}})
	_, found := new(ekcert.Client).Find(t.Context(), tpm, "", ek.Public)
	places := map[string]error{
		"Info": info, "ReadNV": nv, "CreateKey": created, "LoadKey": loaded, "Certify": certified, "ActivateCredential": opened, "Find": found,
	}
	for _, err := range tpm.EKs(t.Context()) {
		places["EKs"] = err
	}
	for place, err := range places {
		sane(t, place+": "+name, err)
	}
}

// sane checks that an error has advice which is about a TPM.
func sane(t *testing.T, name string, err error) {
	t.Helper()
	if err == nil {
		t.Errorf("%s: no error", name)
		return
	}
	d := diagnose.Explain(err)
	line := d.String()
	if d.Remedy == "" || d.HRESULT == 0 {
		t.Errorf("%s: no advice: %s", name, line)
	}
	for _, word := range []string{"Windows update", "KB5", "hybrid", "proxy", "portal", "may pass", "E_FAIL", "Use a physical TPM"} {
		if strings.Contains(line, word) {
			t.Errorf("%s: speaks of %q: %s", name, word, line)
		}
	}
}

// TestOpenErrors opens TPMs that are not there.
func TestOpenErrors(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, []byte("no TPM"), 0o600); err != nil {
		t.Fatal(err)
	}
	socket := filepath.Join(dir, "s")
	specs := map[string]string{
		"tcp:127.0.0.1:1":          "Start the TPM emulator",
		"device:" + dir + "/none":  "Check the name",
		"device:" + dir:            "",
		"soft:" + dir + "/no/file": "Make it, or name another.",
		"soft:" + file:             "",
		"swtpm:" + file:            "",
	}
	if runtime.GOOS == "windows" {
		specs["device:"+dir+"/none"] = "Leave out the path"
	}
	l, err := net.Listen("unix", socket)
	switch {
	case err == nil:
		l.(*net.UnixListener).SetUnlinkOnClose(false)
		l.Close() // so that it refuses
		specs["unix:"+socket] = "Start the emulator, or correct the path."
		specs["unix:"+dir+"/none"] = "Start the emulator, or correct the path."
		specs["unix:"+file] = "Start the emulator, or correct the path."
	case runtime.GOOS != "windows": // it has no Unix sockets before Windows 10 version 1803
		t.Fatal(err)
	}
	for spec, says := range specs {
		_, err := device.Open(t.Context(), spec)
		sane(t, spec, err)
		if d := diagnose.Explain(err); !strings.Contains(d.Remedy, says) {
			t.Errorf("%s: %v", spec, d)
		}
	}
}

// TestWrongKeyFile loads files that are not those of keys.
func TestWrongKeyFile(t *testing.T) {
	tpm := &attest.TPM{Transport: failing{errors.New("the TPM was asked")}}
	for name, text := range map[string]string{
		"empty": "", "JSON": "{}", "a certificate": "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n",
		"an empty key": "-----BEGIN TSS2 PRIVATE KEY-----\n-----END TSS2 PRIVATE KEY-----\n", "too long": strings.Repeat("x", 1<<20),
	} {
		_, err := tpm.LoadKey(t.Context(), []byte(text))
		sane(t, name, err)
		if d := diagnose.Explain(err); !strings.Contains(d.Remedy, "TSS2 PRIVATE KEY") {
			t.Errorf("%s: %v", name, d)
		}
	}
}
