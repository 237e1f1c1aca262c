package command

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// CheckFile returns an error, which begins with the flag, unless a file named name could
// be written: its folder is there and takes new files, and there is no folder with the
// name. It takes the empty name for no file. It leaves nothing behind.
func CheckFile(flag, name string) error {
	if name == "" {
		return nil
	}
	dir := filepath.Dir(name)
	if info, err := os.Stat(dir); err != nil || !info.IsDir() {
		return fmt.Errorf("%s: there is no folder %q for the file %q", flag, dir, filepath.Base(name))
	}
	switch info, err := os.Lstat(name); {
	case err == nil && info.IsDir():
		return fmt.Errorf("%s: %q is a folder: name a file", flag, name)
	case err == nil && !info.Mode().IsRegular():
		return nil // such as a pipe, which is written to and not replaced
	}
	return checkNew(flag, dir)
}

// CheckDir returns an error, which begins with the flag, unless files could be written
// to the folder dir, which need not be there yet. It takes the empty name for no folder.
// It leaves nothing behind.
func CheckDir(flag, dir string) error {
	if dir == "" {
		return nil
	}
	for dir = filepath.Clean(dir); ; dir = filepath.Dir(dir) {
		info, err := os.Stat(dir)
		switch {
		case err == nil && info.IsDir():
			return checkNew(flag, dir)
		case err == nil:
			return fmt.Errorf("%s: %q is a file, not a folder: name a folder", flag, dir)
		case !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, errNotDir), filepath.Dir(dir) == dir:
			return fmt.Errorf("%s: %w", flag, err)
		}
	}
}

// checkNew tries whether a folder takes new files.
func checkNew(flag, dir string) error {
	f, err := os.CreateTemp(dir, ".try.*.tmp")
	if err != nil {
		return fmt.Errorf("%s: the folder %q takes no new file: %w", flag, dir, errors.Unwrap(err))
	}
	return errors.Join(f.Close(), os.Remove(f.Name()))
}
