package main

import (
	"errors"
	"flag"
	"time"

	"github.com/whiteglove/whiteglove/examples/internal/command"
	"github.com/whiteglove/whiteglove/examples/internal/device"
)

// options are the flags.
type options struct {
	discover, domain, token, user, password, tpm, out, ca string

	sessions int
	esp      bool
}

// program returns the example as a command. Each call has flags of its own.
func program() *command.Command {
	o := new(options)
	return &command.Command{
		Name: "mdmenroll", Status: "0 if the device is enrolled, no session failed and, with -esp, the page is over and no command failed; 1 if not, 2 for wrong usage",
		Timeout: 10 * time.Minute, Flags: o.flags, Check: o.check, Do: o.run,
	}
}

func (o *options) flags(f *flag.FlagSet) {
	f.StringVar(&o.discover, "discover", "", "ask the discovery service at `URL`, or \"entra\" for the public one of Entra tenants")
	f.StringVar(&o.domain, "domain", "", "ask the discovery service of domain `D`, at the host EnterpriseEnrollment.D")
	f.StringVar(&o.token, "token", "", "enroll with the token in `FILE`: a JWT, or a token that only the server can read")
	f.StringVar(&o.user, "user", "", "enroll as the user `NAME`, an e-mail address")
	f.StringVar(&o.password, "password", "", "with -user: the user's `PASSWORD`, or @FILE to read it from a file")
	f.StringVar(&o.tpm, "tpm", "soft", device.Usage)
	f.StringVar(&o.out, "out", "", "write certificate, key (wrapped by the TPM) and summary.json to `DIR`")
	f.StringVar(&o.ca, "ca", "", "trust the TLS roots in `FILE` (PEM) instead of the system's")
	f.IntVar(&o.sessions, "session", 0, "hold `N` management sessions")
	f.BoolVar(&o.esp, "esp", false, "show the enrollment status page; the sessions end when it is over, and exit code 1 tells if it is not or a command failed")
}

func (o *options) check(*flag.FlagSet) error {
	switch {
	case (o.discover == "") == (o.domain == ""):
		return errors.New("exactly one of -discover and -domain is needed")
	case (o.token == "") == (o.user == ""):
		return errors.New("exactly one of -token and -user is needed")
	case o.password != "" && o.user == "":
		return errors.New("-password goes with -user")
	case o.sessions < 0:
		return errors.New("-session must not be negative")
	}
	if o.esp && o.sessions == 0 {
		o.sessions = 1
	}
	return nil
}
