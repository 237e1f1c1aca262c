package main

import (
	"errors"
	"flag"
	"fmt"
	"strings"
	"time"

	"github.com/whiteglove/whiteglove/attest"
	"github.com/whiteglove/whiteglove/examples/internal/command"
	"github.com/whiteglove/whiteglove/examples/internal/device"
	"github.com/whiteglove/whiteglove/verify/verifytest"
)

// options are the flags.
type options struct {
	url, roots, token, tpm, state, eventLog, certify string

	auth device.Auth
	boot bool
}

// program returns the example as a command. Each call has flags of its own.
func program() *command.Command {
	o := new(options)
	return &command.Command{
		Name: "attestor",
		About: "attestor is a device that attests to a verifier over HTTPS: it shows the certificate of its TPM's\n" +
			"endorsement key, makes an attestation key, proves that the TPM has both, and sends a quote of its\n" +
			"PCRs with the event log.",
		Usage:   "attestor -url URL [-roots FILE] [-tpm TPM] [-state FILE] [-token @FILE] [FLAGS]",
		Status:  "0 if the verifier trusts the device, 3 if it refuses it, 1 if something else failed, 2 for wrong usage",
		Timeout: 2 * time.Minute, Flags: o.flags, Check: o.check, Do: o.run, Hint: o.auth.Hint,
	}
}

func (o *options) flags(f *flag.FlagSet) {
	f.StringVar(&o.url, "url", "", "attest to the verifier at `URL` (required)")
	f.StringVar(&o.roots, "roots", "", "trust the roots of TLS in `FILE` (PEM; default: the system's)")
	f.StringVar(&o.token, "token", "", "send this `TOKEN` as bearer token, or @FILE to read it from a file")
	f.StringVar(&o.tpm, "tpm", "soft", device.Usage)
	o.auth.Flags(f)
	f.StringVar(&o.state, "state", "", "keep the attestation key (wrapped by the TPM) in `FILE`, and attest again with it")
	f.StringVar(&o.eventLog, "eventlog", "", "send the event log in `FILE` (default: that of the machine with -tpm device, a real machine's with -boot, else none)")
	f.BoolVar(&o.boot, "boot", false, "put the events of the log into the PCRs of an emulated TPM first, as firmware does when a machine starts")
	f.StringVar(&o.certify, "certify", "", "make a P-256 key, prove that it is in the same TPM, and write it (wrapped by the TPM) to `FILE`")
}

func (o *options) check(*flag.FlagSet) error {
	if o.url == "" {
		return errors.New("-url is required")
	}
	if o.boot && o.real() {
		return errors.New("-boot is for emulated TPMs: the firmware has extended the PCRs of this one")
	}
	return errors.Join(command.CheckBaseURL("-url", o.url), device.CheckFlag(o.tpm), o.auth.Check(), command.CheckFile("-state", o.state), command.CheckFile("-certify", o.certify))
}

// real reports whether the TPM is the machine's own.
func (o *options) real() bool { return o.tpm == "device" || strings.HasPrefix(o.tpm, "device:") }

// log returns the event log to send, or nil.
func (o *options) log() ([]byte, error) {
	switch {
	case o.eventLog != "":
		log, err := command.ReadFile(o.eventLog)
		if err == nil && len(log) == 0 {
			err = fmt.Errorf("the file %q is empty, but should have an event log", o.eventLog)
		}
		return log, command.Wrong("-eventlog", err)
	case o.real():
		return attest.EventLog()
	case o.boot:
		return verifytest.EventLog(), nil
	}
	return nil, nil
}
