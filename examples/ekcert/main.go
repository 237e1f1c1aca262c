// Ekcert prints and judges the certificates of endorsement keys: those of a
// TPM, those in a dump of its NV memory, or one in a file. Without flags it takes
// an emulated TPM in this process. Nothing is fetched unless -online is given.
//
// It exits with 0 if there is a certificate and none is bad, 1 if not or if
// something failed, and 2 for usage.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"time"

	"github.com/whiteglove/whiteglove/attest/attesttest"
	"github.com/whiteglove/whiteglove/ekcert"
	"github.com/whiteglove/whiteglove/ekcert/roots"
	"github.com/whiteglove/whiteglove/examples/internal/command"
	"github.com/whiteglove/whiteglove/examples/internal/device"
)

func main() { command.Main(run) }

// options are the flags.
type options struct {
	tpm, file, nv, roots string

	online, json bool
	timeout      time.Duration
}

// run judges. It returns 0 if all is well, 1 if not or 2 for usage.
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
	results, err := o.judge(ctx)
	if err != nil {
		fmt.Fprintln(stderr, "ekcert:", explain(err))
		return 1
	}
	return o.print(stdout, results)
}

func parse(args []string, stderr io.Writer) (*options, error) {
	o := new(options)
	fs := flag.NewFlagSet("ekcert", flag.ContinueOnError)
	fs.SetOutput(stderr)
	fs.StringVar(&o.tpm, "tpm", "soft", device.Usage)
	fs.StringVar(&o.file, "file", "", "take the certificate in `FILE` instead: DER, PEM, PKCS #7, Intel's JSON, or as it is in NV memory or Windows's registry")
	fs.StringVar(&o.nv, "nv", "", "take the NV memory in `DIR` instead: files named after their index, as 0x01c00002.bin")
	fs.StringVar(&o.roots, "ek-roots", "", "trust the roots in `FILE` (PEM) for every maker, and no others (default: the makers' own, and the emulator's)")
	fs.BoolVar(&o.online, "online", false, "ask the maker's service, which learns a hash of the key; fetch missing issuers and CRLs")
	fs.BoolVar(&o.json, "json", false, "print one JSON object a line")
	fs.DurationVar(&o.timeout, "timeout", time.Minute, "give up after `D`")
	if err := fs.Parse(args); err != nil {
		return nil, err
	}
	err := o.check(fs)
	if err != nil {
		fmt.Fprintf(stderr, "ekcert: %v\n", err)
		fs.Usage()
	}
	return o, err
}

func (o *options) check(fs *flag.FlagSet) error {
	sources := 0
	fs.Visit(func(f *flag.Flag) {
		if f.Name == "tpm" || f.Name == "file" || f.Name == "nv" {
			sources++
		}
	})
	switch {
	case fs.NArg() > 0:
		return fmt.Errorf("unexpected argument %q", fs.Arg(0))
	case sources > 1:
		return errors.New("-tpm, -file and -nv exclude each other")
	case o.timeout <= 0:
		return errors.New("-timeout must be positive")
	}
	return nil
}

// client returns what finds and checks certificates.
func (o *options) client() (*ekcert.Client, error) {
	c := &ekcert.Client{FetchIssuers: o.online, CheckRevocation: o.online, Cache: new(ekcert.MemoryCache)}
	if !o.online {
		c.Services = map[string]ekcert.Fetcher{}
	}
	var err error
	if o.roots == "" {
		c.Roots, c.Intermediates, err = roots.Load()
		c.Pins = roots.Pins()
		if err == nil {
			c.Roots[attesttest.Vendor] = attesttest.Roots()
		}
		return c, err
	}
	certs, err := device.ReadCertificates(o.roots)
	if err != nil {
		return nil, err
	}
	c.Roots = ekcert.Roots{"": pool(certs)}
	return c, nil
}
