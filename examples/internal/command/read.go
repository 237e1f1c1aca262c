package command

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
)

// How much of a file is read, in bytes.
const (
	maxFile  = 64 << 20
	maxSmall = 1 << 20 // of a key, a secret or a state
)

// ReadFile reads a file of at most 64 MiB, or the standard input if it is called "-". A
// folder, and a device or a pipe, which may have no end, are errors; the files of
// /dev/fd and /dev/stdin are open already, and are read as what they are.
func ReadFile(name string) ([]byte, error) {
	if name == "-" {
		return readAll("the standard input", os.Stdin, maxFile)
	}
	return readFile(name, maxFile)
}

// ReadSmall is [ReadFile] for a file with a key, a secret or a state, of at most 1 MiB. "-"
// is a file's name like any other.
func ReadSmall(name string) ([]byte, error) { return readFile(name, maxSmall) }

// errFolder is wrapped by the error for the name of a folder.
var errFolder = errors.New("is a folder: name a file")

// readFile reads a file of at most so many bytes.
func readFile(name string, limit int64) ([]byte, error) {
	info, err := os.Stat(name)
	switch {
	case err != nil:
		if failed, ok := err.(*os.PathError); ok {
			failed.Op = "open" // which a person understands
		}
		return nil, err
	case info.IsDir():
		return nil, fmt.Errorf("%q %w", name, errFolder)
	case !info.Mode().IsRegular() && !strings.HasPrefix(name, "/dev/fd/") && name != "/dev/stdin":
		return nil, fmt.Errorf("%q is no regular file: name a file", name)
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return readAll(fmt.Sprintf("%q", name), f, limit)
}

// readAll reads at most so many bytes.
func readAll(what string, r io.Reader, limit int64) ([]byte, error) {
	text, err := io.ReadAll(io.LimitReader(r, limit+1))
	if err == nil && int64(len(text)) > limit {
		err = fmt.Errorf("%s is larger than %d MiB, so it is something else: name another file", what, limit>>20)
	}
	return text, err
}

// readPEM is ReadFile for PEM.
func readPEM(name string) ([]byte, error) {
	text, err := ReadFile(name)
	if errors.Is(err, errFolder) {
		err = fmt.Errorf("%w in PEM", err)
	}
	return text, err
}

// Secret returns the secret that a flag gives: what the file NAME holds, without
// line ends at its end, if the flag's value is "@NAME", and otherwise the value itself.
func Secret(flag, value string) (string, error) {
	name, ok := strings.CutPrefix(value, "@")
	if !ok {
		return value, nil
	}
	text, err := ReadSmall(name)
	if err != nil {
		return "", Wrong(flag, err)
	}
	secret := strings.TrimRight(string(text), "\r\n")
	if strings.TrimSpace(secret) == "" {
		return "", Wrong(flag, fmt.Errorf("the file %q is empty, but should have a secret", name))
	}
	return secret, nil
}

// CheckWhole returns an error if a text in PEM is empty or ends in the middle of a block.
func CheckWhole(text []byte) error {
	if len(bytes.TrimSpace(text)) == 0 {
		return errors.New("the file is empty")
	}
	if !isCut(text) {
		return nil
	}
	kind := text[bytes.LastIndex(text, []byte("-----BEGIN "))+len("-----BEGIN "):]
	kind, _, _ = bytes.Cut(kind, []byte("-----"))
	return fmt.Errorf("the file is cut off: there is no -----END %.40s-----", kind)
}
