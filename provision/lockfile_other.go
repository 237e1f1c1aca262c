//go:build !unix && !windows

package provision

import (
	"errors"
	"os"
)

// lockFile reports that this system has no locks that end with a process.
func lockFile(string) (*os.File, error) { return nil, errors.ErrUnsupported }

// syncDir does nothing: folders cannot be synced here.
func syncDir(string) error { return nil }
