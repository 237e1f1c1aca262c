package command

import "syscall"

// makeFIFO makes a named pipe, and reports whether it did.
func makeFIFO(name string) bool { return syscall.Mkfifo(name, 0o600) == nil }
