//go:build !unix

package attesttest

import "fmt"

// A child does not exist here.
type child struct{}

func startChild(string) (*child, error) {
	return nil, fmt.Errorf("%w: there is none for this system", ErrNoSWTPM)
}

func (*child) Write([]byte) (int, error) { return 0, ErrNoSWTPM }
func (*child) Read([]byte) (int, error)  { return 0, ErrNoSWTPM }
func (*child) stop() error               { return nil }

func tempDir() (string, error) { return "", nil }
func removeDir(string) error   { return nil }
