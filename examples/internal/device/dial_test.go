package device_test

import (
	"context"
	"encoding/hex"
	"errors"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/whiteglove/whiteglove/attest"
	"github.com/whiteglove/whiteglove/attest/attesttest"
	"github.com/whiteglove/whiteglove/diagnose"
	"github.com/whiteglove/whiteglove/examples/internal/device"
)

// serve returns the address of a server that reads a command and answers with the bytes,
// or not at all if they are nil.
func serve(t *testing.T, answer []byte) (address string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			t.Cleanup(func() { c.Close() })
			go func() {
				if _, err := c.Read(make([]byte, 4096)); err == nil && answer != nil {
					c.Write(answer)
				}
			}()
		}
	}()
	return l.Addr().String()
}

// What answers in place of a TPM 2.0, or answers with an error, is told apart.
func TestDialed(t *testing.T) {
	for name, c := range map[string]struct{ answer, says, remedy string }{
		"TPM 1.2":        {"00c40000000a0000001e", "TPM 1.2", "A TPM 1.2 cannot be used"},
		"web server":     {hex.EncodeToString([]byte("HTTP/1.1 400 Bad Request\r\n\r\n")), "a web server answers there, not a TPM", "--server"},
		"short":          {"8001", "no TPM 2.0", "--server"},
		"control":        {"00000000000000000000", "no TPM 2.0", "--server"},
		"with sessions":  {"80020000000a00000000", "no TPM 2.0", "--server"},
		"failure":        {"80010000000a00000101", "TPM_RC_FAILURE", "end the emulator and start it again"},
		"lockout":        {"80010000000a00000921", "TPM_RC_LOCKOUT", "lockout ends"},
		"other software": {hex.EncodeToString([]byte("220 mail.example.org ESMTP\r\n")), "no TPM 2.0", "--server"},
	} {
		answer, err := hex.DecodeString(c.answer)
		if err != nil {
			t.Fatal(err)
		}
		addr := serve(t, answer)
		closing := addr
		if name == "short" { // and no more after that
			closing = serveOnce(t, answer)
		}
		_, err = device.Open(t.Context(), "tcp:"+closing)
		d := diagnose.Explain(err)
		if err == nil || !strings.Contains(d.String(), c.says) || !strings.Contains(d.Remedy, c.remedy) || d.HRESULT == 0 || !strings.Contains(err.Error(), "tcp:"+closing) {
			t.Errorf("%s: %v", name, d)
		}
	}
}

// serveOnce serves as serve does, and closes the connection after the answer.
func serveOnce(t *testing.T, answer []byte) (address string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		c, err := l.Accept()
		if err != nil {
			return
		}
		if _, err := c.Read(make([]byte, 4096)); err == nil {
			c.Write(answer)
		}
		c.Close()
	}()
	return l.Addr().String()
}

// A TPM at a socket that does not answer holds nobody: the context's end counts.
func TestDialSilent(t *testing.T) {
	spec := "tcp:" + serve(t, nil)
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	start := time.Now()
	_, err := device.Open(ctx, spec)
	d := diagnose.Explain(err)
	if !errors.Is(err, attest.ErrNoAnswer) || !errors.Is(err, context.DeadlineExceeded) || d.Op != "TPM2_Startup" || !strings.Contains(d.Remedy, "start an emulator again") || strings.Contains(d.Remedy, "time limit") || time.Since(start) > 5*time.Second {
		t.Errorf("%v after %v", d, time.Since(start))
	}
	ctx, stop := context.WithCancel(t.Context())
	time.AfterFunc(100*time.Millisecond, stop)
	_, err = device.Open(ctx, spec)
	if d := diagnose.Explain(err); !errors.Is(err, attest.ErrNoAnswer) || !errors.Is(err, context.Canceled) || strings.Contains(d.Remedy, "emulator") || !strings.Contains(d.Remedy, "Run again to go on.") {
		t.Errorf("%v", d)
	}
}

// A form that no TPM has is a mistake that says what was meant.
func TestCheck(t *testing.T) {
	for spec, says := range map[string]string{
		"tcp:nosuch":                  "want a host and a port number",
		"tcp:localhost":               "want a host and a port number",
		"tcp:localhost:":              "want a host and a port number",
		"tcp:localhost:x":             "want a host and a port number",
		"tcp:localhost:70000":         "want a host and a port number",
		"tcp:":                        "want a host and a port number",
		"swtpm:host=localhost,port=x": "want a host and a port number",
		"/dev/tpmrm0":                 "write device:/dev/tpmrm0",
		"/tmp/x":                      "write unix:/tmp/x,",
		"unix:":                       "unix:SOCKET",
		"swtpm:":                      "swtpm:STATEDIR",
		"swtpm":                       "swtpm:STATEDIR",
		"tbs":                         "-tpm device",
		"foo":                         "want soft",
		"":                            "want soft",
	} {
		if err := device.Check(spec); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v", spec, err)
		}
		if d, err := device.Open(t.Context(), spec); err == nil || !strings.Contains(err.Error(), says) {
			d.Close()
			t.Errorf("%s: %v", spec, err)
		}
	}
	for _, spec := range []string{"soft", "soft:f", "swtpm:d", "swtpm:path=s", "swtpm:port=1", "unix:s", "tcp:h:1", "tcp:[::1]:1", "device", "device:/dev/tpm0"} {
		if err := device.Check(spec); err != nil {
			t.Error(err)
		}
	}
}

// A state that is a file of something else, or whose folder does not exist, is refused,
// and a new state is said to be one.
func TestStates(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "g.txt")
	if err := os.WriteFile(file, []byte("text"), 0o600); err != nil {
		t.Fatal(err)
	}
	for spec, says := range map[string]string{
		"soft:" + file:               "no state of this emulator",
		"soft:" + dir:                "is no file",
		"swtpm:" + file:              "is no folder",
		"swtpm:" + dir + "/no/state": "the folder " + filepath.Join(dir, "no") + " does not exist",
		"tcp:nosuch.invalid:1":       "there is no host nosuch.invalid",
	} {
		_, err := device.Open(t.Context(), spec)
		if d := diagnose.Explain(err); err == nil || !strings.Contains(err.Error(), says) || d.Remedy == "" {
			t.Errorf("%s: %v", spec, d)
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "no")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a folder was made: %v", err)
	}
	kinds := []string{"soft"}
	if _, err := attesttest.StartSWTPM(t.TempDir()); err == nil {
		kinds = append(kinds, "swtpm")
	}
	for _, kind := range kinds {
		spec := kind + ":" + filepath.Join(dir, kind)
		for _, first := range []bool{true, false} {
			d, err := device.Open(t.Context(), spec)
			if err != nil {
				t.Fatal(err)
			}
			if says := map[string]string{"soft": "which is new", "swtpm": "a new TPM"}[kind]; strings.Contains(d.Name, says) != first {
				t.Errorf("%s: %q", spec, d.Name)
			}
			if err := d.Close(); err != nil {
				t.Error(err)
			}
		}
	}
}

// A device that has nothing to do with a TPM is refused before anything is written to it.
func TestOtherDevices(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("no such devices")
	}
	for _, path := range []string{"/dev/null", "/dev/zero", "/dev/tty"} {
		if _, err := os.Stat(path); err != nil {
			continue
		}
		_, err := device.Open(t.Context(), "device:"+path)
		if d := diagnose.Explain(err); !errors.Is(err, attest.ErrNoTPM) || !strings.Contains(d.String(), path) || !strings.Contains(d.Remedy, "/dev/tpmrm0") {
			t.Errorf("%s: %v", path, d)
		}
	}
}
