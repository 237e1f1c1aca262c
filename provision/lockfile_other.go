//go:build !unix && !windows

package provision

import (
	"errors"
	"os"
)

// lockFile returns errors.ErrUnsupported: this system has no locks that end with
// the process.
func lockFile(string) (*os.File, error) { return nil, errors.ErrUnsupported }

// openFile opens a file for reading.
func openFile(name string) (*os.File, error) { return os.Open(name) }

// syncDir does nothing, because directories cannot be synced here.
func syncDir(string) error { return nil }
