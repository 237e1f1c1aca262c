package main

import (
	"errors"
	"flag"
	"net"
	"strings"
	"time"

	"github.com/whiteglove/whiteglove/examples/internal/command"
	"github.com/whiteglove/whiteglove/examples/internal/device"
	"github.com/whiteglove/whiteglove/provision/provisiontest"
)

// options are the flags.
type options struct {
	server, roots, tpm, ekRoots, tenant string

	hosts   map[string]string // addresses that are dialed instead of hosts
	json    bool
	timeout time.Duration
}

// program returns the example as a command. Each call has flags of its own.
func program() *command.Command {
	o := &options{hosts: make(map[string]string)}
	return &command.Command{
		Name: "preflight",
		About: "preflight says whether a device would get through pre-provisioning from where it is: which services\n" +
			"can be reached and are genuine, whether the clock is right, and whether the TPM is ready. It\n" +
			"changes nothing.",
		Usage: "preflight [-tpm TPM] [FLAGS]\n" +
			"preflight -server URL -roots FILE [-tpm TPM]",
		Status: "0 if every check passed or ended with a warning, 1 if one failed, 2 for wrong usage, 3 if it could not check",
		Flags:  o.flags, Check: o.check, Do: o.run,
	}
}

func (o *options) flags(f *flag.FlagSet) {
	f.StringVar(&o.server, "server", "", "ask the mock server at `URL` for the services that it has, and no other server")
	f.StringVar(&o.roots, "roots", "", "trust the roots in `FILE` (PEM) for TLS besides the system's")
	f.StringVar(&o.tpm, "tpm", "", "check this `TPM` too (default: none): "+device.Kinds)
	f.StringVar(&o.ekRoots, "ek-roots", "", "trust the EK CAs in `FILE` (PEM), and no others (default: the makers' own, and the emulator's)")
	f.StringVar(&o.tenant, "tenant", "", "ask for the tenant with this domain `NAME` (default: common, and with -server "+provisiontest.Tenant+")")
	f.Func("host", "connect to `NAME=HOST:PORT` instead of NAME; NAME may be *; may be repeated", o.addHost)
	f.BoolVar(&o.json, "json", false, "print one JSON object a line")
	f.DurationVar(&o.timeout, "timeout", 10*time.Second, "wait up to `D` for each service")
}

// addHost is -host.
func (o *options) addHost(text string) error {
	name, address, _ := strings.Cut(text, "=")
	if _, port, err := net.SplitHostPort(address); name == "" || err != nil || port == "" {
		return errors.New("want NAME=HOST:PORT")
	}
	o.hosts[strings.ToLower(name)] = address
	return nil
}

func (o *options) check(*flag.FlagSet) error {
	o.server = strings.TrimSuffix(o.server, "/")
	switch {
	case o.tenant != "":
	case o.server != "":
		o.tenant = provisiontest.Tenant
	default:
		o.tenant = "common"
	}
	switch {
	case strings.HasPrefix(strings.ToLower(o.server), "http:"):
		return errors.New("-server must be an https URL")
	case o.ekRoots != "" && o.tpm == "":
		return errors.New("-ek-roots goes with -tpm")
	case o.timeout <= 0:
		return errors.New("-timeout must be positive")
	}
	if o.tpm != "" {
		if err := device.CheckFlag(o.tpm); err != nil {
			return err
		}
	}
	return errors.Join(command.CheckBaseURL("-server", o.server), command.CheckTenant("-tenant", o.tenant))
}
