// Package rename renames files over others that may be open for a moment.
package rename

import (
	"os"
	"time"
)

// patience is how long a file in the way may stay open.
const patience = 2 * time.Second

// File renames a file to a name that another file may have, which it replaces. On
// Windows that fails while a program has the other file open, such as a virus scanner or
// a backup; File tries again for two seconds. The error is that of [os.Rename].
func File(from, to string) error {
	end := time.Now().Add(patience)
	for pause := 5 * time.Millisecond; ; pause = min(2*pause, 200*time.Millisecond) {
		err := os.Rename(from, to)
		if err == nil || !isOpen(err) || time.Now().After(end) {
			return err
		}
		time.Sleep(pause)
	}
}
