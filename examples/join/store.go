package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// Names of what is kept.
const (
	fileAIKKey       = "aik-key.pem"
	fileAIK          = "aik.pem"
	fileDeviceKey    = "device-key.pem"
	fileTransportKey = "transport-key.pem"
	fileDevice       = "device.pem"   // certificate of the join, with the device identifier in it
	fileDeviceID     = "device-id"    // of the last join
	fileSession      = "session.json" // sealed
)

// A store keeps files in a folder or, if that is "", in memory.
type store struct {
	dir    string
	memory map[string][]byte
}

var errMissing = errors.New("not there: take the steps before it, with the same -out")

func (s *store) get(name string) ([]byte, error) {
	if text, ok := s.memory[name]; ok {
		return text, nil
	}
	if s.dir == "" {
		return nil, fmt.Errorf("%s is %w", name, errMissing)
	}
	text, err := os.ReadFile(filepath.Join(s.dir, name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s is %w", name, errMissing)
	}
	return text, err
}

func (s *store) put(name string, text []byte) error {
	if s.dir == "" {
		if s.memory == nil {
			s.memory = make(map[string][]byte)
		}
		s.memory[name] = text
		return nil
	}
	if err := os.MkdirAll(s.dir, 0o700); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(s.dir, name), text, 0o600)
}

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
