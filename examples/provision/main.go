// Provision takes a device from a bare TPM to an enrolled one and shows each
// step. Without flags it does so with an emulated TPM and a mock server, both
// in this process.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/whiteglove/whiteglove/attest"
	"github.com/whiteglove/whiteglove/diagnose"
	"github.com/whiteglove/whiteglove/examples/internal/command"
	"github.com/whiteglove/whiteglove/examples/internal/device"
	"github.com/whiteglove/whiteglove/provision"
	"github.com/whiteglove/whiteglove/provision/provisiontest"
	"github.com/whiteglove/whiteglove/trace"
)

func main() { command.Main(run) }

// options are the flags.
type options struct {
	server, roots, tpm, ekRoots, ek, tenant, state, out string
	traceMD, har, report                                string
	steps, user, password                               string

	ekEnroll, json bool
	pause, timeout time.Duration
}

// run provisions. It returns 0 if it is done, 1 if a step failed or 2 for
// usage.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	o, err := parse(args, stderr)
	if errors.Is(err, flag.ErrHelp) {
		return 0
	}
	if err != nil {
		return 2
	}
	ctx, cancel := context.WithTimeout(ctx, o.timeout)
	defer cancel()
	if err := o.provision(ctx, stdout); err != nil {
		fmt.Fprintln(stderr, explain(err))
		return 1
	}
	return 0
}

func parse(args []string, stderr io.Writer) (*options, error) {
	o := new(options)
	fs := flag.NewFlagSet("provision", flag.ContinueOnError)
	fs.SetOutput(stderr)
	fs.StringVar(&o.server, "server", "", "provision against the mock server at `URL` (default: one in this process)")
	fs.StringVar(&o.roots, "roots", "", "trust the roots of TLS and of the services in `FILE` (PEM)")
	fs.StringVar(&o.tpm, "tpm", "soft", device.Usage)
	fs.StringVar(&o.ekRoots, "ek-roots", "", "trust the EK CAs in `FILE` (PEM; default: the emulator's maker)")
	fs.StringVar(&o.ek, "ek", "", "use the endorsement key of `ALGORITHM`: rsa2048, p256 or p384 (default: the first with a certificate)")
	fs.BoolVar(&o.ekEnroll, "ek-enroll", false, "ignore a certificate in the TPM; have the maker's CA issue one over SCEP")
	fs.StringVar(&o.tenant, "tenant", provisiontest.Tenant, "join the tenant of this domain `NAME`")
	fs.StringVar(&o.state, "state", "", "keep the state in `FILE`, and go on from it")
	fs.StringVar(&o.out, "out", "", "write certificates, keys and summary.json to `DIR`")
	fs.StringVar(&o.steps, "steps", "", "take only these `STEPS`: names with commas between, \"technician\" (from ek to seal) or \"user\" (rejoin, signin)\n(default: from ek to enroll)")
	fs.StringVar(&o.user, "user", "", "hand the device to the user with this `NAME` (UPN)")
	fs.StringVar(&o.password, "password", "", "the user's `PASSWORD`, or @FILE")
	fs.DurationVar(&o.pause, "pause", time.Second, "let `D` pass between management sessions")
	fs.StringVar(&o.traceMD, "trace-md", "", "write what was said to servers and TPM to `FILE` as Markdown")
	fs.StringVar(&o.har, "har", "", "write the HTTP exchanges to `FILE` as an HTTP Archive")
	fs.StringVar(&o.report, "report", "", "write a time line of it all to `FILE` as one HTML page")
	fs.BoolVar(&o.json, "json", false, "print one JSON event a line")
	fs.DurationVar(&o.timeout, "timeout", 5*time.Minute, "give up after `D`")
	if err := fs.Parse(args); err != nil {
		return nil, err
	}
	err := o.check(fs)
	if err != nil {
		fmt.Fprintf(stderr, "provision: %v\n", err)
		fs.Usage()
	}
	return o, err
}

func (o *options) check(fs *flag.FlagSet) error {
	switch {
	case fs.NArg() > 0:
		return fmt.Errorf("unexpected argument %q", fs.Arg(0))
	case o.server == "" && o.roots != "":
		return errors.New("-roots goes with -server")
	case o.timeout <= 0 || o.pause <= 0:
		return errors.New("-timeout and -pause must be positive")
	case (o.user == "") != (o.password == ""):
		return errors.New("-user and -password go together")
	}
	_, err := selectEK(o.ek)
	return err
}

// provision opens the TPM, finds the server and runs all steps.
func (o *options) provision(ctx context.Context, stdout io.Writer) error {
	dev, err := device.Open(o.tpm)
	if err != nil {
		return err
	}
	defer dev.Close()
	c := new(counts)
	trace := new(trace.Trace)
	tpm := &attest.TPM{Transport: trace.TPM(countedTPM{dev, c})}
	services, err := o.services(ctx)
	if err != nil {
		return err
	}
	defer services.stop()
	rep := &reporter{out: stdout, json: o.json, terminal: !o.json && isTerminal(stdout), counts: c}
	if !o.json {
		fmt.Fprintf(stdout, "%s; services at %s\n", dev.Name, services.url)
	}
	p := services.provisioner(tpm, c, trace)
	p.Tenant, p.EnrollEK, p.Steps, p.Setup.Pause = o.tenant, o.ekEnroll, stepsOf(o.steps), o.pause
	p.Setup.Progress = rep.progress
	if p.User, err = o.newUser(p.HTTPClient); err != nil {
		return err
	}
	p.Observe = func(ev provision.Event) {
		trace.Observe(ev)
		rep.observe(ev)
		passing()
	}
	if p.SelectEK, err = selectEK(o.ek); err != nil {
		return err
	}
	if o.state != "" {
		p.Store = provision.FileStore(o.state)
	}
	start := time.Now()
	state, err := p.Run(ctx)
	if terr := o.writeTraces(trace); err == nil {
		err = terr
	}
	if err != nil {
		return err
	}
	if !o.json {
		rep.printTotal(state, time.Since(start))
	}
	if o.out != "" {
		return write(o.out, state, rep.steps)
	}
	return nil
}

// stepsOf returns the steps of a flag, or nil for "".
func stepsOf(flag string) []provision.Step {
	var steps []provision.Step
	for name := range strings.SplitSeq(flag, ",") {
		switch name {
		case "":
		case "technician":
			steps = append(steps, provision.Technician()...)
		case "user":
			steps = append(steps, provision.UserPhase()...)
		default:
			steps = append(steps, provision.Step(name))
		}
	}
	return steps
}

// explain returns an error on one line: step, operation, code and remedy.
func explain(err error) string { return "provision: " + diagnose.Explain(err).String() }
