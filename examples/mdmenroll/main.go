// Mdmenroll enrolls this machine, or an emulated TPM, with any management
// server that speaks Windows' enrollment protocol ([MS-MDE2]), holds management
// sessions, and shows the enrollment status page that Windows would show.
//
// The management key is made in the TPM and never leaves it.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/whiteglove/whiteglove/examples/internal/command"
	"github.com/whiteglove/whiteglove/examples/internal/device"
)

func main() { command.Main(run) }

// options are the flags.
type options struct {
	discover, domain, token, user, password, tpm, out, ca string

	sessions int
	esp      bool
	timeout  time.Duration
}

// run enrolls. It returns 0 if it is done, 1 if a step failed or 2 for usage.
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
	if err := o.run(ctx, stdout, stderr); err != nil {
		fmt.Fprintln(stderr, explain(err))
		return 1
	}
	return 0
}

func parse(args []string, stderr io.Writer) (*options, error) {
	o := new(options)
	fs := flag.NewFlagSet("mdmenroll", flag.ContinueOnError)
	fs.SetOutput(stderr)
	fs.StringVar(&o.discover, "discover", "", "ask the discovery service at `URL`, or \"entra\" for the public one of Entra tenants")
	fs.StringVar(&o.domain, "domain", "", "ask the discovery service of domain `D`: host EnterpriseEnrollment.D")
	fs.StringVar(&o.token, "token", "", "enroll with the token in `FILE`: a JWT, or else a token that only the server can read")
	fs.StringVar(&o.user, "user", "", "enroll as the user `NAME`, an e-mail address")
	fs.StringVar(&o.password, "password", "", "with -user: the user's password; \"@FILE\" reads it from there")
	fs.StringVar(&o.tpm, "tpm", "soft", device.Usage)
	fs.StringVar(&o.out, "out", "", "write certificate, key (wrapped by the TPM) and summary.json to `DIR`")
	fs.StringVar(&o.ca, "ca", "", "trust the TLS roots in `FILE` (PEM) instead of the system's")
	fs.IntVar(&o.sessions, "session", 0, "hold `N` management sessions")
	fs.BoolVar(&o.esp, "esp", false, "show the enrollment status page; it ends the sessions when it is over")
	fs.DurationVar(&o.timeout, "timeout", 10*time.Minute, "give up after `D`")
	if err := fs.Parse(args); err != nil {
		return nil, err
	}
	err := o.check(fs)
	if err != nil {
		fmt.Fprintf(stderr, "mdmenroll: %v\n", err)
		fs.Usage()
	}
	return o, err
}

func (o *options) check(fs *flag.FlagSet) error {
	switch {
	case fs.NArg() > 0:
		return fmt.Errorf("unexpected argument %q", fs.Arg(0))
	case (o.discover == "") == (o.domain == ""):
		return errors.New("one of -discover and -domain is needed")
	case (o.token == "") == (o.user == ""):
		return errors.New("one of -token and -user is needed")
	case o.password != "" && o.user == "":
		return errors.New("-password goes with -user")
	case o.sessions < 0 || o.timeout <= 0:
		return errors.New("-session and -timeout must not be negative")
	}
	if o.esp && o.sessions == 0 {
		o.sessions = 1
	}
	return nil
}

// explain returns an error on one line: operation, code and remedy.
func explain(err error) string {
	line := "mdmenroll: " + err.Error()
	var coded interface {
		HRESULT() uint32
		Remedy() string
	}
	if errors.As(err, &coded) {
		if code := coded.HRESULT(); code != 0 && !strings.Contains(strings.ToLower(line), fmt.Sprintf("%#x", code)) {
			line += fmt.Sprintf(" (0x%08X)", code)
		}
		if remedy := coded.Remedy(); remedy != "" {
			line += ". " + remedy
		}
	}
	return strings.Join(strings.Fields(line), " ")
}
