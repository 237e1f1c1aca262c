package attest

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Every TPM that the kernel has is found, also without a device file, and a TPM 1.2.
func TestFind(t *testing.T) {
	root := t.TempDir()
	if got := findBelow(root); got != nil {
		t.Errorf("nothing: %v", got)
	}
	put := func(path, text string) {
		t.Helper()
		path = filepath.Join(root, path)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		err := os.WriteFile(path, []byte(text), 0o600)
		if text == "" { // a device file, which can be opened
			err = errors.Join(os.Remove(path), os.Symlink(os.DevNull, path))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	put("dev/tpm0", "")
	put("dev/tpmrm0", "")
	put("dev/tpmfoo", "")
	put("sys/class/tpm/tpm0/tpm_version_major", "2\n")
	put("sys/class/tpm/tpm1/tpm_version_major", "1\n")
	put("dev/tpm1", "")
	put("sys/class/tpm/tpm10/tpm_version_major", "2\n")
	put("dev/tpm2", "") // the kernel's folder is not mounted, or older than the file
	found := findBelow(root)
	var paths []string
	for _, d := range found {
		path := strings.TrimPrefix(d.Path, root)
		paths = append(paths, path)
		var e *Error
		if d.Err != nil && (!errors.As(d.Err, &e) || e.Remedy() == "") {
			t.Errorf("%s: %v", path, d.Err)
		}
		switch path {
		case "/dev/tpm1":
			if !errors.Is(d.Err, errTPM12) || !strings.Contains(e.Remedy(), "version 2.0") {
				t.Errorf("%s: %v", path, d.Err)
			}
		case "/dev/tpmrm2", "/dev/tpmrm10", "/dev/tpm10":
			if !errors.Is(d.Err, fs.ErrNotExist) || !errors.Is(d.Err, ErrNoTPM) {
				t.Errorf("%s: %v", path, d.Err)
			}
		default:
			if d.Err != nil {
				t.Errorf("%s: %v", path, d.Err)
			}
		}
	}
	if got := strings.Join(paths, " "); got != "/dev/tpmrm0 /dev/tpm0 /dev/tpm1 /dev/tpmrm2 /dev/tpm2 /dev/tpmrm10 /dev/tpm10" {
		t.Error(got)
	}
}
