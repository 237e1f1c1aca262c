package main

import (
	"context"
	"errors"
	"io/fs"
	"os"

	"github.com/whiteglove/whiteglove/attest"
	"github.com/whiteglove/whiteglove/examples/internal/command"
)

// load returns the attestation key in a file, or nil if there is no such file.
func (a *attestor) load(ctx context.Context, name string) (*attest.Key, error) {
	if name == "" {
		return nil, nil
	}
	text, err := os.ReadFile(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, command.Wrong("-state", err)
	}
	key, err := a.tpm.LoadKey(ctx, text)
	return key, command.At("-state "+name, err)
}

// writeKey writes a key, wrapped by the TPM, to a file.
func writeKey(name string, key *attest.Key) error {
	text, err := key.MarshalText()
	if err != nil {
		return err
	}
	return command.WriteFile(name, text)
}
