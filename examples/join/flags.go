package main

import (
	"errors"
	"flag"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/whiteglove/whiteglove/diagnose"
	"github.com/whiteglove/whiteglove/examples/internal/command"
	"github.com/whiteglove/whiteglove/examples/internal/device"
	"github.com/whiteglove/whiteglove/examples/internal/services"
	"github.com/whiteglove/whiteglove/provision/provisiontest"
)

// The user of the flags' defaults. A mock server in this process knows the user
// of the flags.
const (
	defaultUser     = "alice@" + provisiontest.Tenant
	defaultPassword = "Wh1te-Gl0ve"
)

// options are the flags.
type options struct {
	server, roots, tpm, tenant, ticket, user, password, out, steps string

	signIn   services.SignIn
	defaults string // which of -user and -password are not given, for a sentence
}

// program returns the example as a command. Each call has flags of its own.
func program() *command.Command {
	o := new(options)
	return &command.Command{
		Name: "join",
		About: "join takes a device through its life in a directory: it finds the tenant's services, proves its\n" +
			"TPM, joins, leaves, joins again for a user and signs that user in. Without -server it uses a mock\n" +
			"directory in this process.",
		Usage:   "join [-step STEPS] [-ticket @FILE] [-server URL -roots FILE] [-tpm TPM] [-out DIR] [FLAGS]",
		Status:  "0 if all steps are done, 1 if one failed, 2 for wrong usage",
		Timeout: 5 * time.Minute, Flags: o.flags, Check: o.check, Do: o.run, Hint: o.hint,
	}
}

func (o *options) flags(f *flag.FlagSet) {
	f.StringVar(&o.steps, "step", strings.Join(stepNames(), ","), "take these `STEPS`, separated by commas, in the order of the default")
	f.StringVar(&o.server, "server", "", "use the mock server at `URL` (default: one in this process)")
	f.StringVar(&o.roots, "roots", "", "trust the roots of TLS and of the services in `FILE` (PEM)")
	f.StringVar(&o.tpm, "tpm", "soft", device.Usage)
	f.StringVar(&o.tenant, "tenant", provisiontest.Tenant, "join the tenant with this domain `NAME`")
	f.StringVar(&o.ticket, "ticket", "", "join without a user by this device `TICKET`, or @FILE to read it from a file (default: prove the TPM to the directory)")
	f.StringVar(&o.user, "user", defaultUser, "rejoin for the user with this `NAME`")
	f.StringVar(&o.password, "password", defaultPassword, "the user's `PASSWORD`, or @FILE to read it from a file")
	o.signIn.Flags(f)
	f.StringVar(&o.out, "out", "", "keep keys (wrapped by the TPM), certificates and the sealed session in `DIR`")
}

func (o *options) check(f *flag.FlagSet) error {
	given := make(map[string]bool)
	f.Visit(func(set *flag.Flag) { given[set.Name] = true })
	o.defaults = ""
	for _, name := range []string{"user", "password"} {
		if !given[name] {
			o.defaults = strings.TrimPrefix(o.defaults+" and -"+name, " and ")
		}
	}
	for name := range strings.SplitSeq(o.steps, ",") {
		if !slices.Contains(stepNames(), name) {
			return fmt.Errorf("-step %q: want some of %s", name, strings.Join(stepNames(), ", "))
		}
	}
	if given["password"] && o.server != "" && !o.signIn.NeedsPassword() {
		return errors.New("-password goes with -signin password, for otherwise the user enters it elsewhere")
	}
	return errors.Join(device.CheckFlag(o.tpm), o.signIn.Check(), services.CheckFlags(o.server, o.roots), command.CheckUser("-user", o.user), command.CheckTenant("-tenant", o.tenant), command.CheckDir("-out", o.out))
}

// hint says that a name and a password that were refused came from no flag.
func (o *options) hint(err error) string {
	d := diagnose.Explain(err)
	if o.server == "" || o.defaults == "" || !o.signIn.NeedsPassword() || d.Op != "Password" && d.Op != "SignIn" || !strings.HasPrefix(d.Protocol, "OAuth invalid_grant") {
		return ""
	}
	return fmt.Sprintf("Give %s: what was sent is the default, which is that of %s.", o.defaults, defaultUser)
}

// takes reports whether the flags ask for a step.
func (o *options) takes(name string) bool {
	return slices.Contains(strings.Split(o.steps, ","), name)
}
