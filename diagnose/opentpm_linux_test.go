package diagnose_test

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/whiteglove/whiteglove/attest"
	"github.com/whiteglove/whiteglove/diagnose"
)

// What docs/tpm.md says of a TPM that does not open is what Explain says.
func TestOpenTPM(t *testing.T) {
	dir := t.TempDir()
	file, socket := filepath.Join(dir, "file"), filepath.Join(dir, "socket")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for path, want := range map[string]struct{ cause, remedy string }{
		file:                         {"it is not a device", "Name the TPM's device"},
		dir:                          {"it is not a device", "Name the TPM's device"},
		socket:                       {"it is not a device", "unix:SOCKET"},
		filepath.Join(dir, "none"):   {"no such file or directory", "Check the name"},
		filepath.Join(file, "below"): {"not a directory", "Check the name"},
	} {
		_, err := attest.Open(path)
		d := diagnose.Explain(err)
		if !errors.Is(err, attest.ErrNoTPM) || !strings.Contains(err.Error(), path+": "+want.cause) || !strings.Contains(d.Remedy, want.remedy) || d.HRESULT != 0x8028400F {
			t.Errorf("%s: %v: %s", path, err, d)
		}
	}
	for errno, want := range map[syscall.Errno]struct {
		code   uint32
		remedy string
	}{
		syscall.EACCES:       {0x80284012, "group tss"},
		syscall.EBUSY:        {0x800700AA, "/dev/tpmrm0"},
		syscall.ENODEV:       {0x8028400F, "has lost the TPM"},
		syscall.EPIPE:        {0x80284006, "off and on"},
		syscall.EIO:          {0x80284006, "off and on"},
		syscall.ECONNREFUSED: {0x8028400F, "emulator"},
	} {
		err := &attest.Error{Op: "Open", Err: fmt.Errorf("%w: %w", attest.ErrNoTPM, errno)}
		if d := diagnose.Explain(err); d.HRESULT != want.code || !strings.Contains(d.Remedy, want.remedy) {
			t.Errorf("%v: %s", errno, d)
		}
	}
}
