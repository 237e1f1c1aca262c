package command

import (
	"io"
	"os"
	"path/filepath"

	"github.com/whiteglove/whiteglove/internal/rename"
)

// A File is a file to be written.
type File struct {
	Name string
	Text []byte
}

// WriteDir makes the folder dir, readable by this user only, if it does not
// exist, and writes files into it as [WriteFile] does. A failure leaves the
// files before it written.
func WriteDir(dir string, files ...File) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	for _, f := range files {
		if err := WriteFile(filepath.Join(dir, f.Name), f.Text); err != nil {
			return err
		}
	}
	return nil
}

// WriteFile writes a file that only this user can read. Others see the old file
// or the whole new one, never a part. What is not a regular file, such as a
// symbolic link or a pipe, is written to and not replaced.
func WriteFile(name string, text []byte) error {
	if info, err := os.Lstat(name); err == nil && !info.Mode().IsRegular() {
		return os.WriteFile(name, text, 0o600)
	}
	tmp, err := os.CreateTemp(filepath.Dir(name), filepath.Base(name)+".*.tmp") // mode 0600
	if err != nil {
		return err
	}
	_, err = tmp.Write(text)
	if cerr := tmp.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = rename.File(tmp.Name(), name)
	}
	if err != nil {
		os.Remove(tmp.Name())
	}
	return err
}

// IsTerminal reports whether w is a terminal, which shows text to a person and
// understands escape codes. It tells the console of Windows to do so, which cannot
// before Windows 10.
func IsTerminal(w io.Writer) bool {
	file, ok := w.(*os.File)
	return ok && takesEscapes(file)
}
