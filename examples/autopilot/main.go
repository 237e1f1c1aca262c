// Autopilot reads hardware hashes, files of them and deployment profiles, compares
// a hash with a TPM, and registers devices through Microsoft Graph.
//
//	go run ./examples/autopilot hash FILE|-
//	go run ./examples/autopilot csv lint|merge FILE…
//	go run ./examples/autopilot -format "Partner Center" -out out.csv csv convert FILE
//	go run ./examples/autopilot import FILE
//	go run ./examples/autopilot -serial 5CD8068X profile FILE|-
//	go run ./examples/autopilot -tpm device match FILE|-
//	go run ./examples/autopilot -tpm soft mock
//
// Flags come before the command. "hash" without a file takes the hash of this
// machine, which works on Windows as an administrator. "import" registers the
// devices of a file and shows how far each is: a line a device on a terminal, else a
// line an event, with -json a JSON object. Without -graph it does so at a mock service in this process,
// and with -graph public at the real one, which needs an application in the tenant:
// see -client-id, -client-secret and -client-cert. "mock" prints the hash of a made-up
// device with the TPM's endorsement key, which no real service gets.
//
// It exits with 0 if all is well, with 1 if the service would refuse something, a
// hash does not match, or something failed, and with 2 if it was called wrongly.
package main

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/whiteglove/whiteglove/attest"
	"github.com/whiteglove/whiteglove/autopilot"
	"github.com/whiteglove/whiteglove/diagnose"
	"github.com/whiteglove/whiteglove/ekcert"
	"github.com/whiteglove/whiteglove/examples/internal/command"
	"github.com/whiteglove/whiteglove/examples/internal/device"
	"github.com/whiteglove/whiteglove/provision/provisiontest"
)

func main() { command.Main(program()) }

// errFound ends a run in which findings are bad; they have been printed.
var errFound = &command.ExitError{Code: 1}

// showHash prints what a hash says, and what the service would refuse.
func (o *options) showHash(ctx context.Context, stdout io.Writer) error {
	var h *autopilot.Hash
	var err error
	if len(o.args) == 1 {
		h, err = autopilot.Collect(ctx)
	} else {
		h, err = device.ReadHash(o.args[1])
		err = wrong(err)
	}
	if err != nil {
		return err
	}
	w, findings := h.Hardware(), h.Lint()
	if tpm := w.TPM; tpm != nil {
		for _, f := range ekcert.Advisories(tpm.Vendor, tpm.Firmware.String()) {
			findings = append(findings, autopilot.Finding{ID: f.ID, Detail: f.Detail})
		}
	}
	if o.json {
		text, err := command.JSON(map[string]any{"hardware": w, "intact": h.Verify() == nil, "findings": findings})
		if err != nil {
			return err
		}
		if _, err := stdout.Write(text); err != nil {
			return err
		}
	} else {
		fmt.Fprint(stdout, w)
	}
	return o.judge(stdout, findings)
}

// wrong returns err as one of the command line, which names the wrong file.
func wrong(err error) error {
	if err == nil {
		return nil
	}
	return &command.ExitError{Code: 2, Err: err}
}

// judge prints findings unless they have been printed as JSON, and returns an error
// if one of them is refused.
func (o *options) judge(stdout io.Writer, findings []autopilot.Finding) error {
	bad := slices.ContainsFunc(findings, func(f autopilot.Finding) bool { return f.Refused })
	if !o.json {
		printFindings(stdout, findings)
	}
	if bad {
		return errFound
	}
	return nil
}

// printFindings prints findings, each remedy after the last one that has it.
func printFindings(w io.Writer, findings []autopilot.Finding) {
	for i, f := range findings {
		line := f.String()
		if f.Remedy != "" && !slices.ContainsFunc(findings[i+1:], func(later autopilot.Finding) bool { return later.Remedy == f.Remedy }) {
			line += ". " + command.Remedy(f.Remedy)
		}
		fmt.Fprintln(w, line)
	}
}

// match compares a hash with the endorsement keys of a TPM, or with a certificate.
func (o *options) match(ctx context.Context, stdout io.Writer) error {
	h, err := device.ReadHash(o.args[1])
	if err != nil {
		return wrong(err)
	}
	var best autopilot.Match
	if o.ek != "" {
		cert, err := readEK(ctx, o.ek)
		if err != nil {
			return err
		}
		best = h.MatchCertificate(cert)
	} else if best, err = matchTPM(ctx, o.tpm, h); err != nil {
		return err
	}
	if o.json {
		err = command.WriteJSONLine(stdout, best)
	} else {
		_, err = fmt.Fprintln(stdout, best)
	}
	damage := h.Verify()
	switch {
	case err != nil:
		return err
	case damage != nil && best.Verdict == autopilot.Same:
		return damaged(o.args[1], damage, "The endorsement key in it is right, but the service refuses the hash")
	case damage != nil:
		return damaged(o.args[1], damage, "The verdict says nothing")
	case best.Verdict == autopilot.Same:
		return nil
	}
	return errFound
}

// damaged returns an error for a hash with a wrong checksum, and what follows from that.
func damaged(name string, damage error, follows string) error {
	return fmt.Errorf("%s: the hash is damaged, or was put together by hand: %s. %s: take the hash from the device again", name, diagnose.Explain(damage).Cause, follows)
}

// readEK reads the EK certificate in a file. It does not look for the maker's CA.
func readEK(ctx context.Context, name string) (*x509.Certificate, error) {
	certs, err := command.ReadCertificates(name)
	if err != nil {
		return nil, command.Wrong("-ek", err)
	}
	cert := certs[0]
	_, err = new(ekcert.Client).Verify(ctx, &ekcert.Certificate{Certificate: cert}, cert.PublicKey)
	if errors.Is(err, ekcert.ErrNotEK) {
		_, why, _ := strings.Cut(err.Error(), ekcert.ErrNotEK.Error()+": ")
		return nil, command.Wrong("-ek "+name, fmt.Errorf("this is not an EK certificate: %s. Name the EK certificate of the device", why))
	}
	return cert, nil
}

// matchTPM compares a hash with each endorsement key of a TPM, and returns the best
// match.
func matchTPM(ctx context.Context, spec string, h *autopilot.Hash) (autopilot.Match, error) {
	dev, err := device.Open(ctx, spec)
	if err != nil {
		return autopilot.Match{}, err
	}
	defer dev.Close()
	best := h.Match(nil)
	for ek, err := range (&attest.TPM{Transport: dev}).EKs(ctx) {
		if err != nil {
			return best, err
		}
		m := h.Match(ek.Public)
		if m.Verdict == autopilot.Same {
			return m, nil
		}
		if m.Verdict == autopilot.Other {
			best = m
		}
	}
	return best, nil
}

// showProfile prints what a device with a profile will do, or writes the profile as
// a file for existing devices.
func (o *options) showProfile(stdout io.Writer) error {
	text, err := command.ReadFile(o.args[1])
	if err != nil {
		return wrong(err)
	}
	p, err := autopilot.ParseProfile(text)
	if errors.Is(err, autopilot.ErrNoProfile) {
		return fmt.Errorf("%s: there is no profile in it, for it names no tenant: name the file of a profile or, if the service gave this file, assign a profile to the device first", o.args[1])
	}
	if errors.Is(err, autopilot.ErrMalformed) {
		return wrong(command.Contents(o.args[1], err))
	}
	if err != nil {
		return command.Contents(o.args[1], err)
	}
	if o.profileID != "" {
		p.ProfileID = o.profileID
	}
	if o.out != "" {
		file, err := p.Offline()
		if err != nil && p.ProfileID == "" {
			err = command.Advise(err, "Nothing was written. Give -profile-id, if that is what is missing, or correct what is.")
		}
		if err != nil {
			return command.Contents(o.args[1], err)
		}
		return command.WriteFile(o.out, file)
	}
	plan, findings := p.Plan(o.serial), p.Lint()
	if o.json {
		text, err := command.JSON(map[string]any{"plan": plan, "profile": p, "findings": findings})
		if err != nil {
			return err
		}
		if _, err := stdout.Write(text); err != nil {
			return err
		}
	} else {
		fmt.Fprint(stdout, plan)
	}
	return o.judge(stdout, findings)
}

// mock prints the hash of a made-up device with a TPM, as a file for the portal.
func (o *options) mock(ctx context.Context, stdout io.Writer) error {
	dev, err := device.Open(ctx, o.tpm)
	if err != nil {
		return err
	}
	defer dev.Close()
	h, err := (&provisiontest.Device{TPM: &attest.TPM{Transport: dev}}).Hash(ctx)
	if err != nil {
		return err
	}
	return autopilot.WriteCSV(stdout, autopilot.Intune, []autopilot.Row{{Hash: h.String()}})
}
