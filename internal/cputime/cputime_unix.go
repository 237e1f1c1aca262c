//go:build unix

package cputime

import (
	"syscall"
	"time"
)

// Process returns the processor time that this process has used in the program and in the
// kernel. It returns 0 if the system does not tell.
func Process() time.Duration {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
