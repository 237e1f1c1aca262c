// Mockserver is every party that a device meets until it is enrolled, behind one
// TLS listener: the SCEP CA of a TPM maker, an attestation CA, a directory with
// its registration and token services, a management server, and Microsoft Graph
// as far as it registers devices. They check what real services check, and log
// what they refuse and why. It is [provisiontest.Server] as a program.
//
//	go run ./examples/mockserver -ready-file url -roots-out roots.pem
//	go run ./examples/mockserver -fault join:503:2 -fault tls:expired
//	go run ./examples/mockserver -admit none -ready-file url -roots-out roots.pem
//
// With -admit none it knows only devices that are registered by their hardware
// hashes: "autopilot -graph URL/autopilot -roots roots.pem -token x import FILE".
// With -fault it goes wrong, to rehearse a failing site. Its keys and roots are
// made when it starts. It is for tests only.
//
// It serves until it is interrupted, and then exits with 0. It exits with 1 if
// it cannot serve, and with 2 if it was called wrongly.
package main

import (
	"context"
	"crypto"
	"errors"
	"fmt"
	"io"
	"log/slog"

	"github.com/whiteglove/whiteglove/attest"
	"github.com/whiteglove/whiteglove/attest/attesttest"
	"github.com/whiteglove/whiteglove/examples/internal/command"
	"github.com/whiteglove/whiteglove/provision/provisiontest"
)

func main() { command.Main(program()) }

// run serves until ctx ends.
func (o *options) run(ctx context.Context, stdout, stderr io.Writer) (err error) {
	for name, password := range o.users {
		if o.users[name], err = command.Secret("-user", password); err != nil {
			return err
		}
	}
	s := &provisiontest.Server{
		AdmitAny: o.admit == "any", Users: o.users, Public: o.public, Faults: o.faults, Logger: slog.New(slog.NewTextHandler(stderr, nil)),
	}
	if o.ekRoots != "" {
		if s.EKRoots, err = command.ReadCertificates(o.ekRoots); err != nil {
			return command.Wrong("-ek-roots", err)
		}
	}
	hardware, err := o.hardware(ctx)
	if err != nil {
		return err
	}
	if err := s.Start(o.addr); err != nil {
		return command.NotListening("-addr", o.addr, err)
	}
	if err = s.Import(hardware...); err == nil {
		err = o.announce(s, stdout)
	}
	if err == nil {
		<-ctx.Done()
	}
	return errors.Join(err, s.Close())
}

// hardware returns the endorsement keys that -admit names.
func (o *options) hardware(ctx context.Context) ([]crypto.PublicKey, error) {
	switch o.admit {
	case "":
		return emulatorEKs(ctx)
	case "any", "none":
		return nil, nil
	}
	keys, err := command.ReadKeys(o.admit)
	return keys, command.Wrong("-admit", err)
}

// emulatorEKs returns the endorsement keys of the default emulated TPM.
func emulatorEKs(ctx context.Context) ([]crypto.PublicKey, error) {
	chip, err := attesttest.New(attesttest.Config{})
	if err != nil {
		return nil, err
	}
	defer chip.Close()
	var keys []crypto.PublicKey
	for ek, err := range (&attest.TPM{Transport: chip}).EKs(ctx) {
		if err != nil {
			return nil, err
		}
		keys = append(keys, ek.Public)
	}
	return keys, nil
}

// announce writes the roots and then the URL, so that both files are there when
// the ready file is.
func (o *options) announce(s *provisiontest.Server, stdout io.Writer) error {
	if o.rootsOut != "" {
		if err := command.WriteFile(o.rootsOut, command.EncodeCertificates(s.Roots...)); err != nil {
			return err
		}
	}
	if o.readyFile != "" {
		if err := command.WriteFile(o.readyFile, []byte(s.URL+"\n")); err != nil {
			return err
		}
	}
	_, err := fmt.Fprintf(stdout, "listening at %s, tenant %s\n", s.URL, provisiontest.Tenant)
	return err
}
