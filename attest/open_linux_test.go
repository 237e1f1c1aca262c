package attest

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A device that is open names the program which has it open.
func TestHolders(t *testing.T) {
	path := filepath.Join(t.TempDir(), "tpm0")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	own, err := os.ReadFile("/proc/self/comm")
	if err != nil {
		t.Skip(err)
	}
	got := holders("/proc", path)
	if len(got) != 1 || !strings.HasPrefix(got[0], strings.TrimSpace(string(own))+" (process ") {
		t.Errorf("%q", got)
	}
	if s := openBy(got); !strings.Contains(s, "open in") || !strings.Contains(openBy(nil), "may not see") {
		t.Errorf("%q", s)
	}
	if got := holders("/proc", path+"0"); got != nil {
		t.Errorf("%q have another file open", got)
	}
}

// Only a device that is in use is said to be.
func TestHeldFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "tpm0")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := Open(path); err == nil || strings.Contains(err.Error(), "open in") || strings.Contains(err.Error(), "may not see") {
		t.Errorf("%v", err)
	}
}

// Where no TPM is supported, nobody is sent to the firmware setup.
func TestOpenElsewhere(t *testing.T) {
	err := &Error{Op: "Open", Err: fmt.Errorf("%w: %w", ErrNoTPM, errSystem)}
	if r := err.Remedy(); !strings.Contains(r, "emulator") || strings.Contains(r, "firmware") || err.HRESULT() != tbsNotFound {
		t.Errorf("%q, %#x", r, err.HRESULT())
	}
}
