//go:build unix

package provision_test

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/whiteglove/whiteglove/provision"
)

// A pipe in the place of the state is refused at once, and a symbolic link in the
// place of the lock is not followed.
func TestFileStoreOddFiles(t *testing.T) {
	dir := t.TempDir()
	store := provision.FileStore(filepath.Join(dir, "state"))
	if err := syscall.Mkfifo(string(store), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := store.Load(t.Context()); !errors.Is(err, provision.ErrState) {
		t.Errorf("a pipe: %v", err)
	}
	target := filepath.Join(dir, "target")
	if err := os.Symlink(target, string(store)+".lock"); err != nil {
		t.Fatal(err)
	}
	if _, err := store.Lock(t.Context()); err == nil {
		t.Error("locked through a symbolic link")
	}
	if _, err := os.Lstat(target); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the link was followed: %v", err)
	}
}
