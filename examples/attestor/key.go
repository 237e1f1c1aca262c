package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"github.com/whiteglove/whiteglove/attest"
	"github.com/whiteglove/whiteglove/examples/internal/command"
	"github.com/whiteglove/whiteglove/examples/internal/device"
)

// load returns the attestation key in a file, or nil if there is no such file.
func (a *attestor) load(ctx context.Context, name string) (*attest.Key, error) {
	if name == "" {
		return nil, nil
	}
	text, err := command.ReadSmall(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, command.Wrong("-state", err)
	}
	at := "-state " + name
	if err := command.CheckWhole(text); err != nil {
		return nil, command.Wrong(at, fmt.Errorf("%w. Restore it, or remove it: attestor then makes a new key", err))
	}
	key, err := a.tpm.LoadKey(ctx, text)
	return key, device.Kept(at, err, "remove the file, and let the verifier admit the new key")
}

// writeKey writes a key, wrapped by the TPM, to a file.
func writeKey(name string, key *attest.Key) error {
	text, err := key.MarshalText()
	if err != nil {
		return err
	}
	return command.WriteFile(name, text)
}
