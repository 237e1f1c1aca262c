package command

import (
	"os"
	"syscall"
)

var setConsoleMode = syscall.NewLazyDLL("kernel32.dll").NewProc("SetConsoleMode")

// Flags of the mode of a console's output (wincon.h).
const (
	processed = 0x1 // ENABLE_PROCESSED_OUTPUT
	escapes   = 0x4 // ENABLE_VIRTUAL_TERMINAL_PROCESSING
)

// takesEscapes reports whether a file is a console that understands escape codes, which
// most do only when they are told to.
func takesEscapes(file *os.File) bool {
	h := syscall.Handle(file.Fd())
	var mode uint32
	if syscall.GetConsoleMode(h, &mode) != nil {
		return false
	}
	if mode&escapes != 0 {
		return true
	}
	ok, _, _ := setConsoleMode.Call(uintptr(h), uintptr(mode|processed|escapes))
	return ok != 0 && syscall.GetConsoleMode(h, &mode) == nil && mode&escapes != 0
}
