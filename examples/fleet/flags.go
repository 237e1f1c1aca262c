package main

import (
	"errors"
	"flag"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/whiteglove/whiteglove/examples/internal/command"
	"github.com/whiteglove/whiteglove/examples/internal/services"
	"github.com/whiteglove/whiteglove/provision"
	"github.com/whiteglove/whiteglove/provision/provisiontest"
)

// options are the flags.
type options struct {
	server, roots, steps, report string
	devices, concurrency         int
	ramp                         time.Duration
	fastKeys, json               bool
	faults                       []provisiontest.Fault
	timeout                      string
	strangers                    bool // the server does not know devices of the fleet
}

// program returns the example as a command. Each call has flags of its own.
func program() *command.Command {
	o := new(options)
	return &command.Command{
		Name: "fleet",
		About: "fleet takes many emulated devices through a run, several at the same time, and measures what that\n" +
			"costs: time by step, rate, processor time and memory a device, failures by cause. Each device has a\n" +
			"TPM and connections of its own. Without -server, a mock server runs in this process.",
		Usage: "fleet [-devices N] [-concurrency N] [-ramp D] [-fast-keys] [-fault STEP:KIND] [FLAGS]\n" +
			"fleet -server URL -roots FILE [FLAGS]",
		Status:  "0 if all devices are done, 1 if one failed, 2 for wrong usage",
		Timeout: time.Hour, Flags: o.flags, Check: o.check, Do: o.run, Hint: o.hint,
	}
}

func (o *options) flags(f *flag.FlagSet) {
	f.StringVar(&o.server, "server", "", "take the devices to the mock server at `URL`, which must admit any (default: one in this process)")
	f.StringVar(&o.roots, "roots", "", "trust the roots of TLS and of the services in `FILE` (PEM)")
	f.IntVar(&o.devices, "devices", 20, "take `N` devices")
	f.IntVar(&o.concurrency, "concurrency", 8, "take `N` devices at the same time")
	f.DurationVar(&o.ramp, "ramp", 0, "reach the concurrency after `D`, one device after the other")
	f.StringVar(&o.steps, "steps", "", "take only these `STEPS`: names separated by commas, or \"technician\" (from ek to seal; default: from ek to enroll)")
	f.BoolVar(&o.fastKeys, "fast-keys", false, "take RSA keys from a pool instead of searching for primes; they are secret to nobody, and the processor time is that of the protocols")
	services.FaultFlag(f, &o.faults)
	f.StringVar(&o.report, "report", "", "write the results with plots to `FILE` as one HTML page")
	f.BoolVar(&o.json, "json", false, "print the results as JSON")
}

func (o *options) check(f *flag.FlagSet) error {
	o.timeout = f.Lookup("timeout").Value.String()
	switch {
	case o.server != "" && len(o.faults) > 0:
		return errors.New("-fault is of the mock server in this process: give it to mockserver instead")
	case o.devices < 1 || o.devices > maxDevices:
		return fmt.Errorf("-devices: want 1 to %d", maxDevices)
	case o.concurrency < 1 || o.concurrency > maxConcurrency:
		return fmt.Errorf("-concurrency: want 1 to %d", maxConcurrency)
	case o.ramp < 0:
		return errors.New("-ramp must not be negative")
	}
	for _, step := range o.selectSteps() {
		if !slices.Contains(provision.Technician(), step) {
			return fmt.Errorf("-steps: there is no step %q of the technician's phase", step)
		}
	}
	return errors.Join(services.CheckFlags(o.server, o.roots), command.CheckFile("-report", o.report))
}

const (
	maxDevices     = 1000000
	maxConcurrency = 10000
)

// selectSteps returns the steps to take, or nil for the default.
func (o *options) selectSteps() []provision.Step {
	var steps []provision.Step
	for name := range strings.SplitSeq(o.steps, ",") {
		switch name {
		case "":
		case "technician":
			steps = append(steps, provision.Technician()...)
		default:
			steps = append(steps, provision.Step(name))
		}
	}
	return steps
}
