// Mockserver is every party that a device meets on its way to be enrolled, on
// one TLS listener: a TPM maker's SCEP CA, an attestation CA, a directory with
// its registration and token services, and a management server. They check what
// real ones must and say what they refuse, and why. With -fault they go wrong,
// for somebody who wants to rehearse a failing site.
//
// Its keys and roots are made when it starts. It is for tests.
package main

import (
	"context"
	"crypto"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/whiteglove/whiteglove/attest"
	"github.com/whiteglove/whiteglove/attest/attesttest"
	"github.com/whiteglove/whiteglove/examples/internal/command"
	"github.com/whiteglove/whiteglove/examples/internal/device"
	"github.com/whiteglove/whiteglove/provision/provisiontest"
)

func main() { command.Main(run) }

// options are the flags.
type options struct {
	addr, ekRoots, admit, rootsOut, readyFile string
	faults                                    []*provisiontest.Fault
	users                                     map[string]string
}

// run serves until ctx ends. It returns 0, 1 for a failure or 2 for usage.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	o := options{users: make(map[string]string)}
	fs := flag.NewFlagSet("mockserver", flag.ContinueOnError)
	fs.SetOutput(stderr)
	fs.StringVar(&o.addr, "addr", "127.0.0.1:0", "listen at `HOST:PORT`")
	fs.StringVar(&o.ekRoots, "ek-roots", "", "accept EK CAs in `FILE` (PEM) besides the emulator's maker")
	fs.StringVar(&o.admit, "admit", "", "import the PEM public keys or EK certificates in `FILE` as hardware; \"any\" admits every EK with a trusted certificate (default: the emulator's)")
	fs.StringVar(&o.rootsOut, "roots-out", "", "write the roots of TLS and of every party to `FILE` (PEM)")
	fs.StringVar(&o.readyFile, "ready-file", "", "write the base URL to `FILE` when it listens")
	fs.Func("user", "add the user `NAME:PASSWORD`, such as alice@contoso.test:secret, to the directory and the management server; may be repeated", func(text string) error {
		name, password, ok := strings.Cut(text, ":")
		if !ok || name == "" || password == "" {
			return errors.New("want NAME:PASSWORD")
		}
		o.users[name] = password
		return nil
	})
	fs.Func("fault", faultUsage(), func(text string) error {
		f, err := provisiontest.ParseFault(text)
		o.faults = append(o.faults, f)
		return err
	})
	if err := fs.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return 0
		}
		return 2
	}
	if fs.NArg() > 0 {
		fmt.Fprintf(stderr, "mockserver: unexpected argument %q\n", fs.Arg(0))
		return 2
	}
	if err := serve(ctx, o, stdout, slog.New(slog.NewTextHandler(stderr, nil))); err != nil {
		fmt.Fprintf(stderr, "mockserver: %v\n", err)
		return 1
	}
	return 0
}

// faultUsage is the help text of -fault.
func faultUsage() string {
	var b strings.Builder
	fmt.Fprintf(&b, "let N requests (default 1, or \"all\") of a step go wrong, `STEP:KIND[:N]`; may be repeated.\nSteps: %s.\nKinds: an HTTP status from 400 to 599, or", strings.Join(provisiontest.Steps(), ", "))
	for _, kind := range slices.Sorted(maps.Keys(provisiontest.Kinds)) {
		fmt.Fprintf(&b, "\n  %-9s %s", kind, provisiontest.Kinds[kind])
	}
	b.WriteString("\nOf connections, the step tls, only expired and skew: the server's certificate is by that clock. Only in token is there a nonce")
	return b.String()
}

func serve(ctx context.Context, o options, stdout io.Writer, logger *slog.Logger) error {
	config, err := o.config(ctx)
	if err != nil {
		return err
	}
	config.Logger = logger
	s, err := provisiontest.Start(o.addr, config)
	if err != nil {
		return err
	}
	err = o.announce(s, stdout)
	if err == nil {
		<-ctx.Done()
	}
	end, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	return errors.Join(err, s.Close(end))
}

// config reads the files that the flags name.
func (o options) config(ctx context.Context) (c provisiontest.Config, err error) {
	if o.ekRoots != "" {
		if c.EKRoots, err = device.ReadCertificates(o.ekRoots); err != nil {
			return c, err
		}
	}
	c.Faults, c.Users = o.faults, o.users
	switch o.admit {
	case "":
		c.Import, err = emulatorEKs(ctx)
	case "any":
		c.AdmitAny = true
	default:
		c.Import, err = device.ReadKeys(o.admit)
	}
	return c, err
}

// emulatorEKs returns the endorsement keys of the default emulated TPM.
func emulatorEKs(ctx context.Context) ([]crypto.PublicKey, error) {
	chip, err := attesttest.New(attesttest.Config{})
	if err != nil {
		return nil, err
	}
	defer chip.Close()
	var keys []crypto.PublicKey
	for ek, err := range (&attest.TPM{Transport: chip}).EKs(ctx) {
		if err != nil {
			return nil, err
		}
		keys = append(keys, ek.Public)
	}
	return keys, nil
}

// announce says where the server listens, roots first: whoever waits for the
// ready file may then read both.
func (o options) announce(s *provisiontest.Server, stdout io.Writer) error {
	if o.rootsOut != "" {
		var ders [][]byte
		for _, c := range s.Roots {
			ders = append(ders, c.Raw)
		}
		if err := replace(o.rootsOut, device.EncodeCertificates(ders...)); err != nil {
			return err
		}
	}
	if o.readyFile != "" {
		if err := replace(o.readyFile, []byte(s.URL+"\n")); err != nil {
			return err
		}
	}
	_, err := fmt.Fprintf(stdout, "listening at %s, tenant %s\n", s.URL, provisiontest.Tenant)
	return err
}

// replace writes a file that is never seen half-written.
func replace(name string, text []byte) error {
	tmp, err := os.CreateTemp(filepath.Dir(name), filepath.Base(name)+".*.tmp")
	if err != nil {
		return err
	}
	_, err = tmp.Write(text)
	if cerr := tmp.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = os.Rename(tmp.Name(), name)
	}
	if err != nil {
		os.Remove(tmp.Name())
	}
	return err
}
