package cputime

import (
	"syscall"
	"time"
)

// Process returns the processor time that this process has used in the program and in the
// kernel. It returns 0 if the system does not tell.
func Process() time.Duration {
	var made, ended, kernel, user syscall.Filetime
	h, err := syscall.GetCurrentProcess()
	if err != nil || syscall.GetProcessTimes(h, &made, &ended, &kernel, &user) != nil {
		return 0
	}
	units := func(t syscall.Filetime) time.Duration { // of 100 ns
		return time.Duration(int64(t.HighDateTime)<<32 | int64(t.LowDateTime))
	}
	return 100 * (units(kernel) + units(user))
}
