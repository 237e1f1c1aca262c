//go:build !windows

package command

import "os"

// takesEscapes reports whether a file is a terminal.
func takesEscapes(file *os.File) bool {
	info, err := file.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}
