package attesttest

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/whiteglove/whiteglove/internal/rename"
)

// readState reads a state file of at most maxStateFile bytes.
func readState(path string) ([]byte, error) {
	f, err := os.Open(filepath.Clean(path))
	if err != nil {
		return nil, err
	}
	b, err := io.ReadAll(io.LimitReader(f, maxStateFile+1))
	if err := errors.Join(err, f.Close()); err != nil {
		return nil, err
	}
	if len(b) > maxStateFile {
		return nil, errors.New("too large")
	}
	return b, nil
}

// save writes the state file if the state changed.
func (t *TPM) save() error {
	if t.cfg.StateFile == "" {
		return nil
	}
	b, err := t.core.Changed()
	if err == nil && b != nil {
		err = writeState(t.cfg.StateFile, b)
	}
	if err != nil {
		return fmt.Errorf("attesttest: state file: %w", err)
	}
	return nil
}

// saveNow writes the state file.
func (t *TPM) saveNow() error {
	if t.cfg.StateFile == "" {
		return nil
	}
	b, err := t.core.Snapshot()
	if err == nil {
		err = writeState(t.cfg.StateFile, b)
	}
	if err != nil {
		return fmt.Errorf("attesttest: state file: %w", err)
	}
	return nil
}

// writeState replaces a file, whole or not at all, by one with mode 0600.
func writeState(path string, b []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	err = errors.Join(err, f.Close())
	if err == nil {
		err = rename.File(f.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return nil
}
