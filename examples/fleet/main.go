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
	"fmt"
	"io"

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
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case r.Failed > 0:
		return fmt.Errorf("%d of %d devices failed", r.Failed, r.Devices)
	}
	return nil
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
