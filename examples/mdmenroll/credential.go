package main

import (
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/whiteglove/whiteglove/attest"
	"github.com/whiteglove/whiteglove/examples/internal/command"
	"github.com/whiteglove/whiteglove/mdm"
)

// credential returns what the flags -token, -user and -password give to enroll
// with. ofDevice reports that the token is a device's and names no user.
func (o *options) credential() (with mdm.Credential, ofDevice bool, err error) {
	if o.user != "" {
		secret, err := command.Secret("-password", o.password)
		return mdm.Password{User: o.user, Secret: mdm.Token(strings.TrimSpace(secret))}, false, err
	}
	secret, err := command.Secret("-token", o.token)
	if err != nil {
		return nil, false, err
	}
	token := mdm.Token(strings.TrimSpace(secret))
	claims, err := token.Claims()
	if err != nil {
		return mdm.OpaqueToken(token), false, nil
	}
	return token, claims.Type == "device" || claims.UPN == "", nil
}

// warn prints what servers may have against the token with which a call failed, unless
// the error's remedy says it. A run that succeeds has no use for it.
func warn(stderr io.Writer, err error) {
	if failed := (*mdm.Error)(nil); errors.As(err, &failed) {
		for _, warning := range failed.Warnings {
			if strings.Contains(failed.Remedy(), warning) {
				continue
			}
			fmt.Fprintln(stderr, "mdmenroll: warning:", warning)
		}
	}
}

// newClient returns the client of a machine. The machine's identifier is derived
// from its endorsement key, so it stays the same.
func (o *options) newClient(ctx context.Context, tpm *attest.TPM) (*mdm.Client, error) {
	roots, err := command.ReadRoots("-roots", o.roots)
	if err != nil {
		return nil, err
	}
	ek, err := tpm.EK(ctx)
	if err != nil {
		return nil, err
	}
	id := fmt.Sprintf("%X", sha256.Sum256(ek.PublicArea))
	return &mdm.Client{
		Device: mdm.Device{ID: cmp.Or(o.deviceID, id[:32]), HardwareID: id}, RequestVersion: o.requestVersion, HTTPClient: command.HTTPClient(roots),
	}, nil
}

// address returns the URL of the discovery service that the flags name.
func (o *options) address() (string, error) {
	switch {
	case o.domain != "":
		return mdm.DiscoveryURL(o.domain)
	case o.discover == "entra":
		return mdm.EntraDiscoveryURL, nil
	}
	return o.discover, nil
}
