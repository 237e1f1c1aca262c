//go:build unix

package device_test

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/whiteglove/whiteglove/attest"
	"github.com/whiteglove/whiteglove/attest/attesttest"
	"github.com/whiteglove/whiteglove/diagnose"
	"github.com/whiteglove/whiteglove/examples/internal/device"
)

// A folder that another swtpm uses, and a swtpm that was ended, say so.
func TestChild(t *testing.T) {
	dir := t.TempDir()
	spec := "swtpm:" + dir
	dev, err := device.Open(t.Context(), spec)
	if errors.Is(err, attesttest.ErrNoSWTPM) && os.Getenv("WHITEGLOVE_REQUIRE_SWTPM") == "" {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { dev.Close() })
	_, err = device.Open(t.Context(), spec)
	const inUse = ": another program has this swtpm's folder in use (0x800700AA ERROR_BUSY). Wait until it has ended, or name another."
	if d := diagnose.Explain(err); d.String() != "tpm: "+spec+inUse {
		t.Error(d)
	}
	if !killChild(dir) {
		t.Skip("the process of swtpm cannot be found")
	}
	_, err = (&attest.TPM{Transport: dev}).Info(t.Context())
	d := diagnose.Explain(err)
	if d.HRESULT != 0x80284006 || !strings.HasSuffix(d.Cause, "the swtpm that this program started has ended") || d.Remedy != "Run again." {
		t.Error(d)
	}
}

// killChild ends the child of this process that has dir in its arguments, and reports
// whether there is one.
func killChild(dir string) bool {
	lists, _ := filepath.Glob("/proc/self/task/*/children")
	for _, list := range lists {
		text, _ := os.ReadFile(list)
		for pid := range strings.FieldsSeq(string(text)) {
			args, _ := os.ReadFile("/proc/" + pid + "/cmdline")
			number, err := strconv.Atoi(pid)
			if err == nil && strings.Contains(string(args), dir) {
				return syscall.Kill(number, syscall.SIGKILL) == nil
			}
		}
	}
	return false
}
