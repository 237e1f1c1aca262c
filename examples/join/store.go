package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/whiteglove/whiteglove/examples/internal/command"
)

// Names of the files that a store keeps.
const (
	fileAIKKey       = "aik-key.pem"
	fileAIK          = "aik.pem"
	fileDeviceKey    = "device-key.pem"
	fileTransportKey = "transport-key.pem"
	fileDevice       = "device.pem"   // certificate of the join, which names the device
	fileDeviceID     = "device-id"    // identifier of the device at its last join
	fileSession      = "session.json" // the user's session, sealed to the transport key
)

// A store keeps files in a folder or, if that is "", in memory.
type store struct {
	dir    string
	memory map[string][]byte
}

// errMissing is wrapped by what get returns for a file that is not kept.
var errMissing = errors.New("missing")

// path returns where a file is kept, or its name if that is in memory.
func (s *store) path(name string) string { return filepath.Join(s.dir, name) }

// missing returns the error of a file that is not kept.
func (s *store) missing(name string) error {
	if s.dir == "" {
		return fmt.Errorf("%s is %w: give -out with the folder of the run that took the steps before this one, or take them too", name, errMissing)
	}
	return fmt.Errorf("%s is %w: take the steps before this one first, with the same -out", s.path(name), errMissing)
}

// get returns a file. The error wraps errMissing if it is not kept.
func (s *store) get(name string) ([]byte, error) {
	if text, ok := s.memory[name]; ok {
		return text, nil
	}
	if s.dir == "" {
		return nil, s.missing(name)
	}
	text, err := command.ReadFile(s.path(name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, s.missing(name)
	}
	return text, err
}

// put keeps a file in place of one with the same name.
func (s *store) put(name string, text []byte) error {
	if s.dir == "" {
		if s.memory == nil {
			s.memory = make(map[string][]byte)
		}
		s.memory[name] = text
		return nil
	}
	return command.WriteDir(s.dir, command.File{Name: name, Text: text})
}

// remove removes files. A file that is not kept is no error.
func (s *store) remove(names ...string) error {
	for _, name := range names {
		delete(s.memory, name)
		if s.dir == "" {
			continue
		}
		if err := os.Remove(filepath.Join(s.dir, name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}
