//go:build !windows

package command

import "syscall"

// errNotDir is the error for a path that goes through a file.
var errNotDir error = syscall.ENOTDIR
