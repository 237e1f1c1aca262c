package provisiontest

import (
	"context"
	"crypto"
	"crypto/rand"
	"errors"
	"fmt"

	"github.com/whiteglove/whiteglove/attest"
	"github.com/whiteglove/whiteglove/attest/attesttest"
	"github.com/whiteglove/whiteglove/ekcert"
)

// A Device is a device with an emulated TPM. [Server.NewDevice] and [NewDevice]
// make one. A literal does for any other TPM, or to watch one:
//
//	d := &provisiontest.Device{TPM: &attest.TPM{Transport: trace.TPM(chip)}}
type Device struct {
	// TPM drives the chip. It is what a Provisioner uses.
	TPM *attest.TPM

	// Chip is the emulated TPM itself, to reboot or replace it, and to ask what
	// is left loaded in it. It may be nil.
	Chip *attesttest.TPM
}

// NewDevice returns a new device that no directory knows. config describes its
// TPM; the zero value is a TPM as Windows leaves it. If Seed is empty, NewDevice
// chooses one at random, so that each device is another one. It always sets
// FastKeys. The caller must close the device.
//
// The error is the one of [attesttest.New].
func NewDevice(config attesttest.Config) (*Device, error) {
	if config.Seed == "" {
		config.Seed = rand.Text()
	}
	config.FastKeys = true
	chip, err := attesttest.New(config)
	if err != nil {
		return nil, err
	}
	return &Device{TPM: &attest.TPM{Transport: chip}, Chip: chip}, nil
}

// NewDevice returns a new device, as the function [NewDevice] does, that the
// directory expects: its endorsement key has been imported by [Server.Admit].
//
// The error is the one of [NewDevice] or of [Server.Admit].
func (s *Server) NewDevice(ctx context.Context, config attesttest.Config) (*Device, error) {
	d, err := NewDevice(config)
	if err != nil {
		return nil, err
	}
	if err := s.Admit(ctx, d.TPM); err != nil {
		return nil, errors.Join(err, d.Close())
	}
	return d, nil
}

// Close turns the device's TPM off. The error is the one of
// [attesttest.TPM.Close]; it is nil if Chip is.
func (d *Device) Close() error {
	if d.Chip == nil {
		return nil
	}
	return d.Chip.Close()
}

// Import tells the directory to expect devices, as the import of their hardware
// hashes does. Each is named by its endorsement key, an [*rsa.PublicKey] or an
// [*ecdsa.PublicKey]. The directory makes a disabled object for each key that it
// does not know.
//
// The error is the one of [drstest.Server.Import]; the keys before the one that
// failed are imported.
func (s *Server) Import(eks ...crypto.PublicKey) error {
	for _, ek := range eks {
		if _, err := s.Directory.Import(ek); err != nil {
			return fmt.Errorf("provisiontest: importing an endorsement key: %w", err)
		}
	}
	return nil
}

// Admit imports the endorsement key of a TPM that a Provisioner chooses by
// itself: the first one with a certificate in the TPM, or the first one. Use
// [Server.Import] for another one, such as the one of Provisioner.SelectEK.
//
// The error is an [*attest.Error] if the TPM fails. It wraps [attest.ErrNotFound]
// if the TPM has no endorsement key. Otherwise it is the one of [Server.Import].
func (s *Server) Admit(ctx context.Context, tpm *attest.TPM) error {
	var first *attest.EK
	for ek, err := range tpm.EKs(ctx) {
		if err != nil {
			return err
		}
		if _, err := new(ekcert.Client).Find(ctx, tpm, "", ek.Public); err == nil {
			return s.Import(ek.Public)
		}
		if first == nil {
			first = ek
		}
	}
	if first == nil {
		return fmt.Errorf("provisiontest: %w", attest.ErrNotFound)
	}
	return s.Import(first.Public)
}
