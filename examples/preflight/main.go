// Preflight says whether a device would get through from where it is: which of
// the services that it needs can be reached and are what they seem, whether the
// clock is right, and whether the TPM is ready. It changes nothing and sends
// nothing that tells machines apart, but the key identifier of the CA that
// certified the endorsement key.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/url"
	"strings"
	"time"

	"github.com/whiteglove/whiteglove/examples/internal/command"
	"github.com/whiteglove/whiteglove/examples/internal/device"
)

func main() { command.Main(run) }

// options are the flags.
type options struct {
	server, roots, tpm, ekRoots, tenant string

	hosts   map[string]string // what is dialed instead of a host
	json    bool
	timeout time.Duration
}

// run checks all. It returns 0 if all passed or has a warning, 1 if a check
// failed, 2 for usage or 3 if it could not check.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	o, err := parse(args, stderr)
	if errors.Is(err, flag.ErrHelp) {
		return 0
	}
	if err != nil {
		return 2
	}
	results, err := o.preflight(ctx)
	if err == nil {
		err = print(stdout, results, o.json)
	}
	switch {
	case err != nil:
		fmt.Fprintf(stderr, "preflight: could not check: %s\n", oneLine(err.Error()))
		return 3
	case count(results)[fail] > 0:
		return 1
	}
	return 0
}

func parse(args []string, stderr io.Writer) (*options, error) {
	o := &options{hosts: make(map[string]string)}
	fs := flag.NewFlagSet("preflight", flag.ContinueOnError)
	fs.SetOutput(stderr)
	fs.StringVar(&o.server, "server", "", "ask the mock server at `URL` for the services that it has, and nobody else")
	fs.StringVar(&o.roots, "roots", "", "trust the roots in `FILE` (PEM) for TLS besides the system's")
	fs.StringVar(&o.tpm, "tpm", "", "look at this `TPM` too (default: at none): soft[:STATEFILE], swtpm:STATEDIR, unix:SOCKET, tcp:HOST:PORT or device[:PATH]")
	fs.StringVar(&o.ekRoots, "ek-roots", "", "trust the EK CAs in `FILE` (PEM), and no others (default: the makers' own, and the emulator's)")
	fs.StringVar(&o.tenant, "tenant", "common", "ask for the tenant of this domain `NAME`")
	fs.Func("host", "connect to `NAME=HOST:PORT` instead of NAME; NAME may be *; may be repeated", o.addHost)
	fs.BoolVar(&o.json, "json", false, "print one JSON object a line")
	fs.DurationVar(&o.timeout, "timeout", 10*time.Second, "wait for each service as long as `D`")
	if err := fs.Parse(args); err != nil {
		return nil, err
	}
	err := o.check(fs)
	if err != nil {
		fmt.Fprintf(stderr, "preflight: %v\n", err)
		fs.Usage()
	}
	return o, err
}

func (o *options) addHost(text string) error {
	name, address, _ := strings.Cut(text, "=")
	if _, port, err := net.SplitHostPort(address); name == "" || err != nil || port == "" {
		return errors.New("want NAME=HOST:PORT")
	}
	o.hosts[strings.ToLower(name)] = address
	return nil
}

func (o *options) check(fs *flag.FlagSet) error {
	o.server = strings.TrimSuffix(o.server, "/")
	u, err := url.Parse(o.server)
	switch {
	case fs.NArg() > 0:
		return fmt.Errorf("unexpected argument %q", fs.Arg(0))
	case o.server != "" && (err != nil || u.Scheme != "https" || u.Host == ""):
		return errors.New("-server must be an https URL")
	case o.ekRoots != "" && o.tpm == "":
		return errors.New("-ek-roots goes with -tpm")
	case o.tenant == "" || strings.ContainsAny(o.tenant, "/?#% "):
		return fmt.Errorf("-tenant %q is no domain name", o.tenant)
	case o.timeout <= 0:
		return errors.New("-timeout must be positive")
	}
	return nil
}

// preflight returns the results of all checks, in the order of the phases. The
// error is that of a check that could not be made at all.
func (o *options) preflight(ctx context.Context) ([]*result, error) {
	p, err := o.prober()
	if err != nil {
		return nil, err
	}
	facts, tpmResults, err := o.checkTPM(ctx)
	if err != nil {
		return nil, err
	}
	answers := p.probeAll(ctx, o.targets(facts))
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	results := []*result{checkProxy(p), checkClock(answers)}
	results = append(results, tpmResults...)
	for _, a := range answers {
		results = append(results, a.result)
	}
	return results, nil
}

// prober returns what asks services as the flags say.
func (o *options) prober() (*prober, error) {
	p := newProber(o.hosts, o.timeout)
	if o.roots == "" {
		return p, nil
	}
	var err error
	p.roots, err = device.ReadCertificates(o.roots)
	return p, err
}
