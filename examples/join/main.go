// Join takes a device through its life in a directory: it finds the tenant's
// services, proves its TPM, joins, leaves, joins again for a user and signs
// that user in. Each step can be run alone, with what the ones before it left
// in the -out folder. Without -server, the directory is a mock in this process.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/whiteglove/whiteglove/attest"
	"github.com/whiteglove/whiteglove/drs"
	"github.com/whiteglove/whiteglove/examples/internal/command"
	"github.com/whiteglove/whiteglove/examples/internal/device"
	"github.com/whiteglove/whiteglove/provision/provisiontest"
)

func main() { command.Main(run) }

// options are the flags.
type options struct {
	server, roots, tpm, tenant, user, password, out string

	steps   []string
	timeout time.Duration
}

// run takes the steps. It returns 0 if all are done, 1 if one failed or 2 for
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
	if err := o.join(ctx, stdout); err != nil {
		fmt.Fprintln(stderr, explain(err))
		return 1
	}
	return 0
}

func parse(args []string, stderr io.Writer) (*options, error) {
	o := new(options)
	names := make([]string, len(steps))
	for i, s := range steps {
		names[i] = s.name
	}
	all := strings.Join(names, ",")
	fs := flag.NewFlagSet("join", flag.ContinueOnError)
	fs.SetOutput(stderr)
	step := fs.String("step", all, "take `STEPS`, separated by commas, in this order")
	fs.StringVar(&o.server, "server", "", "use the mock server at `URL` (default: one in this process)")
	fs.StringVar(&o.roots, "roots", "", "trust the roots of TLS and of the services in `FILE` (PEM)")
	fs.StringVar(&o.tpm, "tpm", "soft", device.Usage)
	fs.StringVar(&o.tenant, "tenant", provisiontest.Tenant, "join the tenant of this domain `NAME`")
	fs.StringVar(&o.user, "user", defaultUser, "rejoin for the user with this `NAME`")
	fs.StringVar(&o.password, "password", defaultPassword, "the user's `PASSWORD`")
	fs.StringVar(&o.out, "out", "", "keep keys (wrapped by the TPM), certificates and the sealed session in `DIR`")
	fs.DurationVar(&o.timeout, "timeout", 5*time.Minute, "give up after `D`")
	if err := fs.Parse(args); err != nil {
		return nil, err
	}
	o.steps = strings.Split(*step, ",")
	err := o.check(fs, names)
	if err != nil {
		fmt.Fprintf(stderr, "join: %v\n", err)
		fs.Usage()
	}
	return o, err
}

func (o *options) check(fs *flag.FlagSet, names []string) error {
	for _, s := range o.steps {
		if !slices.Contains(names, s) {
			return fmt.Errorf("-step %q: want some of %s", s, strings.Join(names, ", "))
		}
	}
	switch {
	case fs.NArg() > 0:
		return fmt.Errorf("unexpected argument %q", fs.Arg(0))
	case o.server == "" && o.roots != "":
		return errors.New("-roots goes with -server")
	case o.timeout <= 0:
		return errors.New("-timeout must be positive")
	}
	return nil
}

// join opens the TPM, finds the server and takes the steps.
func (o *options) join(ctx context.Context, stdout io.Writer) error {
	dev, err := device.Open(o.tpm)
	if err != nil {
		return err
	}
	defer dev.Close()
	services, err := o.services(ctx)
	if err != nil {
		return err
	}
	defer services.stop()
	fmt.Fprintf(stdout, "%s; services at %s\n", dev.Name, services.url)
	tpm := &attest.TPM{Transport: dev}
	release := tpm.Keep()
	d := &joiner{
		options: o, services: services, tpm: tpm, store: store{dir: o.out}, out: stdout,
		client: &drs.Client{BaseURL: services.url + provisiontest.DirectoryPath, HTTPClient: services.client},
	}
	err = d.run(ctx)
	if rerr := release(context.WithoutCancel(ctx)); err == nil {
		err = rerr
	}
	return err
}

// explain returns an error on one line: operation, code and remedy.
func explain(err error) string {
	line := "join: " + err.Error()
	var e interface {
		error
		HRESULT() uint32
		Remedy() string
	}
	if errors.As(err, &e) {
		if code := e.HRESULT(); code != 0 {
			line += fmt.Sprintf(" (0x%08X)", code)
		}
		if remedy := e.Remedy(); remedy != "" {
			line += ". " + remedy
		}
	}
	return strings.Join(strings.Fields(line), " ")
}
