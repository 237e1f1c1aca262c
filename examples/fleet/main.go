// Fleet takes many emulated devices through a run, several at the same time, and measures
// what that costs. Each device has a TPM and connections of its own.
//
//	go run ./examples/fleet
//	go run ./examples/fleet -devices 1000 -concurrency 64 -fast-keys -report fleet.html
//	go run ./examples/fleet -fault join:503:5 -fault aik:cut:2 -json
//	go run ./examples/fleet -server URL -roots roots.pem
//
// Without -server, a mock server runs in this process, and its share is in the figures.
// With -server, that is "mockserver -admit any" elsewhere.
//
// It exits with 0 if all devices are done, with 1 if one failed, and with 2 if it was
// called wrongly.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/whiteglove/whiteglove/examples/internal/command"
	"github.com/whiteglove/whiteglove/examples/internal/services"
	"github.com/whiteglove/whiteglove/internal/challenge"
	"github.com/whiteglove/whiteglove/internal/rsapool"
	"github.com/whiteglove/whiteglove/provision/provisiontest"
)

func main() { command.Main(program()) }

// run takes the fleet through its run and writes the results.
func (o *options) run(ctx context.Context, stdout, stderr io.Writer) error {
	if o.fastKeys {
		generate := challenge.NewSigner
		defer func() { challenge.NewSigner = generate }()
		challenge.NewSigner = func() (challenge.Signer, error) { return rsapool.Key(), nil }
	}
	s, err := services.Open(o.server, o.roots, &provisiontest.Server{AdmitAny: true, Faults: o.faults})
	if err != nil {
		return err
	}
	defer s.Close()
	f := &fleet{options: o, services: s}
	if command.IsTerminal(stderr) {
		f.progress = stderr
	}
	r := f.run(ctx)
	if err := o.write(r, stdout); err != nil {
		return err
	}
	o.strangers = slices.ContainsFunc(r.Failures, func(f *failure) bool { return strings.HasSuffix(f.Cause, "tpm_ek_unknown") })
	if ctx.Err() != nil && !errors.Is(context.Cause(ctx), context.DeadlineExceeded) {
		return context.Cause(ctx)
	}
	return errors.Join(append([]error{o.unfinished(ctx, r)}, r.causes()...)...)
}

// unfinished returns an error if -timeout ended before all devices did.
func (o *options) unfinished(ctx context.Context, r *result) error {
	left := r.Devices - r.Done - r.Failed
	if ctx.Err() == nil || left == 0 {
		return nil
	}
	what := fmt.Sprintf("%d of %d devices done when -timeout ended (%s)", r.Done, r.Devices, o.timeout)
	if r.last == nil {
		return errors.New(what + ": give a longer one, or fewer -devices")
	}
	return command.At(fmt.Sprintf("%s; %d unfinished, last cause", what, left), r.last)
}

// maxCauses is how many causes of failures are explained.
const maxCauses = 5

// causes returns an error for each cause for which devices failed.
func (r *result) causes() []error {
	var all []error
	for i, f := range r.Failures {
		if i == maxCauses {
			all = append(all, fmt.Errorf("%s more, see -json", command.Count(len(r.Failures)-i, "cause")))
			break
		}
		all = append(all, command.At(fmt.Sprintf("%d of %d devices failed", f.Devices, r.Devices), f.err))
	}
	return all
}

// hint says what a server elsewhere needs for devices that it does not know.
func (o *options) hint(error) string {
	if o.strangers {
		return "A fleet's devices are all new: start the server with -admit any."
	}
	return ""
}

// write writes the results where the flags say.
func (o *options) write(r *result, stdout io.Writer) error {
	if o.report != "" {
		page, err := r.page()
		if err != nil {
			return err
		}
		if err := command.WriteFile(o.report, page); err != nil {
			return err
		}
	}
	if o.json {
		text, err := command.JSON(r)
		if err != nil {
			return err
		}
		_, err = stdout.Write(text)
		return err
	}
	return r.print(stdout)
}
