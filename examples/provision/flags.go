package main

import (
	"errors"
	"flag"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/whiteglove/whiteglove/attest"
	"github.com/whiteglove/whiteglove/examples/internal/command"
	"github.com/whiteglove/whiteglove/examples/internal/device"
	"github.com/whiteglove/whiteglove/examples/internal/services"
	"github.com/whiteglove/whiteglove/provision"
	"github.com/whiteglove/whiteglove/provision/provisiontest"
)

// options are the flags.
type options struct {
	server, roots, tpm, ekRoots, ek, tenant, state, out string
	traceMD, har, report                                string
	steps, user, password, profile, hash                string

	auth                      device.Auth
	ekEnroll, json, sealEarly bool
	pause                     time.Duration
	signIn                    services.SignIn
}

// program returns the example as a command. Each call has flags of its own.
func program() *command.Command {
	o := new(options)
	return &command.Command{
		Name: "provision",
		About: "provision takes a device from a bare TPM to an enrolled one, and shows each step. Without flags it\n" +
			"uses an emulated TPM and a mock server, both in this process.",
		Usage: "provision [-server URL -roots FILE] [-tpm TPM] [-state FILE] [-out DIR] [FLAGS]\n" +
			"provision -steps technician,user -user NAME -password @FILE [FLAGS]",
		Status:  "0 if all steps are done, 1 if one failed, 2 for wrong usage",
		Timeout: 5 * time.Minute, Flags: o.flags, Check: o.check, Do: o.run,
		Resume: o.resume, Hint: o.hint,
	}
}

func (o *options) flags(f *flag.FlagSet) {
	f.StringVar(&o.server, "server", "", "provision against the mock server at `URL` (default: one in this process)")
	f.StringVar(&o.roots, "roots", "", "trust the roots of TLS and of the services in `FILE` (PEM)")
	f.StringVar(&o.tpm, "tpm", "soft", device.Usage)
	o.auth.Flags(f)
	f.StringVar(&o.ekRoots, "ek-roots", "", "trust the EK CAs in `FILE` (PEM; default: the emulator's maker)")
	f.StringVar(&o.ek, "ek", "", "use the endorsement key of `ALGORITHM`: rsa2048, p256 or p384 (default: the first with a certificate)")
	f.BoolVar(&o.ekEnroll, "ek-enroll", false, "ignore a certificate in the TPM; obtain one from the maker's CA over SCEP")
	f.StringVar(&o.tenant, "tenant", "", "join the tenant with this domain `NAME` (default: the profile's, or "+provisiontest.Tenant+")")
	f.StringVar(&o.profile, "profile", "", "take tenant and steps from the deployment profile in `FILE` (JSON)")
	f.StringVar(&o.hash, "hash", "", "compare the hardware hash in `FILE` (base64 or CSV) with the TPM first; with -profile, it also names the device")
	f.StringVar(&o.state, "state", "", "keep the state in `FILE`, and continue from it")
	f.StringVar(&o.out, "out", "", "write certificates, keys and summary.json to `DIR`")
	f.StringVar(&o.steps, "steps", "", "take only these `STEPS`: names separated by commas, \"technician\" (from ek to seal) or \"user\" (rejoin, signin)\n(default: from ek to enroll, or what the profile says)")
	f.BoolVar(&o.sealEarly, "seal-early", false, "leave the tenant right after the enrollment, before the management sessions")
	f.StringVar(&o.user, "user", "", "hand the device to the user with this `NAME` (UPN)")
	f.StringVar(&o.password, "password", "", "the user's `PASSWORD`, or @FILE to read it from a file")
	o.signIn.Flags(f)
	f.DurationVar(&o.pause, "pause", time.Second, "wait `D` between management sessions")
	f.StringVar(&o.traceMD, "trace-md", "", "write the exchanges with servers and TPM to `FILE` as Markdown")
	f.StringVar(&o.har, "har", "", "write the HTTP exchanges to `FILE` as an HTTP Archive")
	f.StringVar(&o.report, "report", "", "write a time line of the run to `FILE` as one HTML page")
	f.BoolVar(&o.json, "json", false, "print one JSON event a line")
}

func (o *options) check(*flag.FlagSet) error {
	switch {
	case o.pause <= 0:
		return errors.New("-pause must be positive")
	case o.password != "" && o.server != "" && !o.signIn.NeedsPassword():
		return errors.New("-password goes with -signin password, for otherwise the user enters it elsewhere")
	case o.password != "" && o.user == "", o.user != "" && o.password == "" && o.signIn.NeedsPassword():
		return errors.New("-user and -password go together")
	case o.ek != "" && !slices.Contains([]string{"rsa2048", "p256", "p384"}, o.ek):
		return fmt.Errorf("-ek %q: want rsa2048, p256 or p384", o.ek)
	}
	return errors.Join(
		services.CheckFlags(o.server, o.roots), command.CheckUser("-user", o.user), command.CheckTenant("-tenant", o.tenant), o.signIn.Check(), device.CheckFlag(o.tpm), o.auth.Check(), o.checkSteps(), command.CheckFile("-state", o.state), command.CheckDir("-out", o.out),
		command.CheckFile("-trace-md", o.traceMD), command.CheckFile("-har", o.har), command.CheckFile("-report", o.report),
	)
}

// checkSteps returns an error if there is no such step, or no user for it.
func (o *options) checkSteps() error {
	for _, step := range o.selectSteps() {
		switch {
		case what[step] == "":
			return fmt.Errorf("-steps: there is no step %q: name some of technician, user%s", step, stepNames())
		case o.user == "" && slices.Contains(provision.UserPhase(), step):
			return fmt.Errorf("-steps: %s needs -user and -password", step)
		}
	}
	return nil
}

// stepNames returns the names of all steps, each after a comma.
func stepNames() string {
	names := ""
	for _, step := range append(provision.Technician(), provision.UserPhase()...) {
		names += ", " + string(step)
	}
	return names
}

// resume tells how to continue after an interrupt.
func (o *options) resume() string {
	if o.state == "" {
		return ""
	}
	return "the state is kept in " + o.state + ", and the same command continues from it"
}

// hint names the flag that may help against an error.
func (o *options) hint(err error) string {
	return o.auth.Hint(err)
}

// selectEK returns the function that selects the endorsement key, or nil if any
// will do.
func (o *options) selectEK() func(*attest.EK) bool {
	if o.ek == "" {
		return nil
	}
	return func(ek *attest.EK) bool { return device.KeyName(ek.Public) == o.ek }
}

// selectSteps returns the steps to take, or nil for the default.
func (o *options) selectSteps() []provision.Step {
	var steps []provision.Step
	for name := range strings.SplitSeq(o.steps, ",") {
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

// store returns the store of the state, or nil if there is none.
func (o *options) store() provision.Store {
	if o.state == "" {
		return nil
	}
	return provision.FileStore(o.state)
}
