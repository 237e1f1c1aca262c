// Preflight says whether a device would get through pre-provisioning from where
// it is: which of the services that it needs can be reached and are genuine,
// whether the clock is right, and whether the TPM is ready. It shows the hosts in the
// order in which the setup page comes to them. Of each that is blocked it says what
// that breaks later, with the code that the screen shows then.
//
//	go run ./examples/preflight
//	go run ./examples/preflight -tpm device
//	go run ./examples/preflight -server URL -roots roots.pem -tpm soft
//
// It changes nothing. All that it sends about the machine is the key identifier
// of the CA that issued the EK certificate, which many machines share. It opens
// no TPM unless -tpm names one.
//
// It exits with 0 if every check passed or ended with a warning, with 1 if one
// failed, with 2 if it was called wrongly, and with 3 if it could not check.
package main

import (
	"context"
	"errors"
	"io"

	"github.com/whiteglove/whiteglove/examples/internal/command"
)

func main() { command.Main(program()) }

// preflight makes all checks. The results are in the order of the phases. The
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
	clock := checkClock(answers)
	blameServices(clock, answers)
	results := []*result{blameProxy(checkProxy(p), answers), clock}
	results = append(results, tpmResults...)
	for _, a := range answers {
		results = append(results, a.result)
	}
	return results, nil
}

// prober returns the prober that asks services as the flags say.
func (o *options) prober() (*prober, error) {
	p := newProber(o.hosts, o.timeout)
	if o.roots == "" {
		return p, nil
	}
	var err error
	p.file = o.roots
	p.roots, err = command.ReadCertificates(o.roots)
	return p, command.Wrong("-roots", err)
}

// run makes all checks and prints the results.
func (o *options) run(ctx context.Context, stdout, _ io.Writer) error {
	results, err := o.preflight(ctx)
	if err == nil {
		err = print(stdout, results, o.json)
	}
	var wrong *command.ExitError
	switch {
	case errors.As(err, &wrong):
		return err
	case err != nil:
		return &command.ExitError{Code: 3, Err: command.At("could not check", err)}
	case count(results)[fail] > 0:
		return &command.ExitError{Code: 1}
	}
	return nil
}
