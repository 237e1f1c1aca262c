package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"runtime"
	"slices"
	"time"

	"github.com/whiteglove/whiteglove/autopilot"
	"github.com/whiteglove/whiteglove/autopilot/graph"
	"github.com/whiteglove/whiteglove/examples/internal/command"
	"github.com/whiteglove/whiteglove/examples/internal/device"
	"github.com/whiteglove/whiteglove/internal/wire"
)

// options are the flags, and the command with its arguments.
type options struct {
	args []string

	tpm, ek, serial, profileID, format, out string
	graph, roots, until                     string
	authority, tenant, clientID, token      string
	clientSecret, clientCert, clientKey     string
	json, forget                            bool
	pause                                   time.Duration
}

const about = `autopilot reads hardware hashes, files of them and deployment profiles, compares a hash with a TPM,
and registers devices through Microsoft Graph.`

const usage = `autopilot [FLAGS] hash [FILE|-]           what a hardware hash says; without a file that of this Windows
autopilot [FLAGS] csv lint FILE…          what the portal would refuse
autopilot [FLAGS] csv merge FILE…         all devices, each once
autopilot [FLAGS] csv convert FILE        the devices in the -format
autopilot [FLAGS] import FILE             register devices
autopilot [FLAGS] profile FILE|-          what a device with this profile will do
autopilot [FLAGS] match FILE|-            does the hash belong to the TPM?
autopilot [FLAGS] mock                    a made-up device with the TPM's endorsement key`

// program returns the example as a command. Each call has flags of its own.
func program() *command.Command {
	o := new(options)
	return &command.Command{
		Name: "autopilot", About: about, Usage: usage,
		Status:  "0 if all is well, 1 if the service would refuse something, a hash does not match or something failed, 2 for wrong usage",
		Args:    true,
		Timeout: 3 * time.Hour, Flags: o.flags, Check: o.check, Do: o.run, Resume: o.resume,
	}
}

func (o *options) flags(f *flag.FlagSet) {
	f.StringVar(&o.tpm, "tpm", "soft", "match and mock: "+device.Usage)
	f.StringVar(&o.ek, "ek", "", "match: compare with the EK certificate in `FILE` (PEM) instead of a TPM")
	f.StringVar(&o.serial, "serial", "", "profile: the device has this serial `NUMBER`")
	f.StringVar(&o.profileID, "profile-id", "", "profile: the profile has this identifier, a `GUID`, which a file for existing devices needs")
	f.StringVar(&o.format, "format", string(autopilot.Intune), "csv convert: write this `FORMAT`: Intune, \"Partner Center\", \"Managed Desktop\" or \"corporate identifiers\"")
	f.StringVar(&o.out, "out", "", "csv merge and convert: write to `FILE`; NAME-2.csv and so on if there are over 500 devices.\nprofile: write a file for existing devices")
	f.StringVar(&o.graph, "graph", "", "import: register at the service at `URL`, or \"public\" for Microsoft Graph (default: a mock service in this process)")
	f.StringVar(&o.roots, "roots", "", "import: trust the TLS roots in `FILE` (PEM; default: the system's)")
	f.StringVar(&o.until, "until", string(graph.StageReady), "import: wait for the `STAGE` submitted, imported, registered or ready")
	f.DurationVar(&o.pause, "pause", 0, "import: ask every `D` how far the devices are (default: by stage, from 15 seconds to a minute)")
	f.BoolVar(&o.forget, "forget", false, "import: delete the records of imports once the devices are registered")
	f.StringVar(&o.authority, "authority", "https://login.microsoftonline.com", "import: get tokens at `URL`")
	f.StringVar(&o.tenant, "tenant", "organizations", "import: get tokens for the tenant with this domain or identifier, `NAME`")
	f.StringVar(&o.token, "token", "", "import: use this access `TOKEN`, or @FILE to read it from a file")
	f.StringVar(&o.clientID, "client-id", "", "import: get tokens for the application with this `ID`: by device code unless a secret or a certificate is given")
	f.StringVar(&o.clientSecret, "client-secret", "", "import: the application has this `SECRET`, or @FILE to read it from a file")
	f.StringVar(&o.clientCert, "client-cert", "", "import: the application has the certificate in `FILE` (PEM)")
	f.StringVar(&o.clientKey, "client-key", "", "import: the key of -client-cert is in `FILE` (TSS2 PEM), and only the -tpm can use it")
	f.BoolVar(&o.json, "json", false, "print JSON")
}

// commands are the commands, and how many arguments each has.
var commands = map[string]struct{ least, most int }{
	"hash": {0, 1}, "csv": {2, 1000}, "import": {1, 1}, "profile": {1, 1}, "match": {1, 1}, "mock": {0, 0},
}

func (o *options) check(f *flag.FlagSet) error {
	o.args = f.Args()
	if len(o.args) == 0 {
		return errors.New("name a command: hash, csv, import, profile, match or mock")
	}
	if err := device.CheckFlag(o.tpm); err != nil {
		return err
	}
	c, ok := commands[o.args[0]]
	switch n := len(o.args) - 1; {
	case !ok:
		return fmt.Errorf("there is no command %q: name hash, csv, import, profile, match or mock", o.args[0])
	case o.args[0] == "csv" && (n == 0 || !slices.Contains([]string{"lint", "merge", "convert"}, o.args[1])):
		return errors.New("csv: name lint, merge or convert, and then the files")
	case o.args[0] == "hash" && n == 0 && runtime.GOOS != "windows":
		return errors.New("hash: this machine does not run Windows: name a FILE with a hash, taken on the device's own Windows")
	case n < c.least:
		return fmt.Errorf("%s: name a file", o.args[0])
	case n > c.most:
		return fmt.Errorf("%s: %q is one argument too many; flags come before the command", o.args[0], o.args[c.most+1])
	case o.args[0] == "csv" && o.args[1] == "convert" && n != 2:
		return errors.New("csv convert takes one file")
	case (o.clientCert == "") != (o.clientKey == ""):
		return errors.New("-client-cert and -client-key go together")
	case o.clientSecret != "" && o.clientCert != "":
		return errors.New("-client-secret and -client-cert exclude each other")
	case o.graph != "" && o.token == "" && o.clientID == "":
		return errors.New("-graph needs -token or -client-id")
	case o.graph == "" && o.roots+o.token+o.clientID+o.clientSecret+o.clientCert != "":
		return errors.New("-roots, -token and -client-… go with -graph; without it a mock service is used")
	case o.profileID != "" && !wire.IsGUID(o.profileID):
		return fmt.Errorf("-profile-id %q: want a GUID", o.profileID)
	case o.pause < 0:
		return errors.New("-pause is negative")
	case !slices.Contains([]graph.Stage{graph.StageSubmitted, graph.StageImported, graph.StageRegistered, graph.StageReady}, graph.Stage(o.until)):
		return fmt.Errorf("-until %q: want submitted, imported, registered or ready", o.until)
	case !slices.Contains([]autopilot.Format{autopilot.Intune, autopilot.PartnerCenter, autopilot.ManagedDesktop, autopilot.Identifiers}, autopilot.Format(o.format)):
		return fmt.Errorf("-format %q: want Intune, \"Partner Center\", \"Managed Desktop\" or \"corporate identifiers\"", o.format)
	case o.graph != "" && o.graph != "public":
		return errors.Join(command.CheckBaseURL("-graph", o.graph), command.CheckBaseURL("-authority", o.authority), command.CheckTenant("-tenant", o.tenant))
	case o.graph != "":
		return errors.Join(command.CheckBaseURL("-authority", o.authority), command.CheckTenant("-tenant", o.tenant))
	}
	return command.CheckFile("-out", o.out)
}

// resume tells how to continue after an interrupt.
func (o *options) resume() string {
	if o.args[0] != "import" {
		return ""
	}
	return "the same command goes on: a device that is registered already counts as imported"
}

// run runs the command.
func (o *options) run(ctx context.Context, stdout, stderr io.Writer) error {
	switch o.args[0] {
	case "hash":
		return o.showHash(ctx, stdout)
	case "csv":
		return o.csv(stdout, stderr)
	case "import":
		return o.register(ctx, stdout, stderr)
	case "profile":
		return o.showProfile(stdout)
	case "match":
		return o.match(ctx, stdout)
	}
	return o.mock(ctx, stdout)
}
