// Aikenroll makes an attestation key in a TPM and has an attestation CA certify
// it: the one step alone that a device of Windows does first. Without flags it
// does so with an emulated TPM and a mock CA, both in this process.
//
// With -begin and -complete it does so in two runs, between which nothing but a
// file is kept.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/whiteglove/whiteglove/aik"
	"github.com/whiteglove/whiteglove/attest"
	"github.com/whiteglove/whiteglove/examples/internal/command"
	"github.com/whiteglove/whiteglove/examples/internal/device"
)

func main() { command.Main(run) }

// options are the flags.
type options struct {
	url, tpm, out, roots, ekRoots, begin, complete string

	windows bool
	timeout time.Duration
}

// run has a key certified. It returns 0 if it is, 1 if not or 2 for usage.
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
	if err := o.run(ctx, stdout); err != nil {
		fmt.Fprintln(stderr, explain(err))
		return 1
	}
	return 0
}

func parse(args []string, stderr io.Writer) (*options, error) {
	o := new(options)
	fs := flag.NewFlagSet("aikenroll", flag.ContinueOnError)
	fs.SetOutput(stderr)
	fs.StringVar(&o.url, "url", "", `ask the CA at `+"`URL`"+`, in which {authority} is the name of the authority; "windows" is the CA that Windows asks (default: a mock CA in this process)`)
	fs.StringVar(&o.tpm, "tpm", "soft", device.Usage)
	fs.StringVar(&o.out, "out", "", "write the certificate with its issuers, and the key (wrapped by the TPM), to `DIR`")
	fs.StringVar(&o.roots, "roots", "", "trust the roots of TLS and of the CA in `FILE` (PEM; default: TLS by the system's roots, and the CA as far as TLS)")
	fs.StringVar(&o.ekRoots, "ek-roots", "", "trust the EK CAs in `FILE` (PEM; default: the emulator's maker)")
	fs.StringVar(&o.begin, "begin", "", "only ask, and write the key and the challenge to `FILE`; it holds a secret key")
	fs.StringVar(&o.complete, "complete", "", "open the challenge in `FILE` of -begin and answer it, within the minutes the CA waits; works once")
	fs.BoolVar(&o.windows, "windows", false, "make the key as Windows does: it signs with SHA-1")
	fs.DurationVar(&o.timeout, "timeout", 2*time.Minute, "give up after `D`")
	if err := fs.Parse(args); err != nil {
		return nil, err
	}
	err := o.check(fs)
	if err != nil {
		fmt.Fprintf(stderr, "aikenroll: %v\n", err)
		fs.Usage()
	}
	return o, err
}

func (o *options) check(fs *flag.FlagSet) error {
	switch {
	case fs.NArg() > 0:
		return fmt.Errorf("unexpected argument %q", fs.Arg(0))
	case o.begin != "" && o.complete != "":
		return errors.New("-begin and -complete are two runs")
	case o.begin != "" && o.out != "":
		return errors.New("-out goes with -complete, not with -begin")
	case o.begin != "" && o.url == "":
		return errors.New("-begin goes with -url")
	case o.complete != "" && (o.url != "" || o.windows):
		return errors.New("-complete takes CA and key from its file, not from -url or -windows")
	case o.roots != "" && o.url == "" && o.complete == "":
		return errors.New("-roots goes with -url or -complete")
	case o.timeout <= 0:
		return errors.New("-timeout must be positive")
	}
	return nil
}

// run opens the TPM and does what the flags say.
func (o *options) run(ctx context.Context, stdout io.Writer) error {
	dev, err := device.Open(o.tpm)
	if err != nil {
		return err
	}
	defer dev.Close()
	e := &enroller{tpm: &attest.TPM{Transport: dev}}
	stop, err := o.services(ctx, e)
	if err != nil {
		return err
	}
	defer stop()
	fmt.Fprintln(stdout, dev.Name)
	switch {
	case o.begin != "":
		return e.begin(ctx, o.begin, stdout)
	case o.complete != "":
		err = e.complete(ctx, o.complete)
	default:
		err = e.enroll(ctx)
	}
	if err != nil {
		return err
	}
	fmt.Fprintf(stdout, "attestation key certified by %q until %s, trust: %s\n",
		e.chain[0].Issuer, e.chain[0].NotAfter.UTC().Format(time.DateOnly), aik.Trust(e.chain[0]))
	if o.out != "" {
		return e.write(o.out)
	}
	return nil
}

// explain returns an error on one line: what failed, code and remedy.
func explain(err error) string {
	line := "aikenroll: " + err.Error()
	var e *aik.Error
	if errors.As(err, &e) {
		if code := e.HRESULT(); code != 0 && !strings.Contains(strings.ToLower(line), fmt.Sprintf("%#08x", code)) {
			line += fmt.Sprintf(" (0x%08X)", code)
		}
		if e.Retryable() {
			line += ". Trying again later may help."
		}
		if remedy := e.Remedy(); remedy != "" {
			line += ". " + remedy
		}
	}
	return strings.Join(strings.Fields(line), " ")
}
