// Provision takes a device from a bare TPM to an enrolled one, and shows each
// step: a [provision.Provisioner] runs them all.
//
//	go run ./examples/provision
//	go run ./examples/provision -server URL -roots roots.pem -tpm device -state state.json -out DIR
//	go run ./examples/provision -steps technician,user -user NAME -password @FILE -report run.html
//	go run ./examples/provision -profile AutopilotDDSZTDFile.json -hash devices.csv
//
// Without flags it uses an emulated TPM and a mock server, both in this process.
//
// It exits with 0 if all steps are done, with 1 if one failed, and with 2 if it
// was called wrongly. A failure is printed as one line: step, operation, code and
// remedy.
package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/google/go-tpm/tpm2/transport"

	"github.com/whiteglove/whiteglove/aik"
	"github.com/whiteglove/whiteglove/attest"
	"github.com/whiteglove/whiteglove/drs"
	"github.com/whiteglove/whiteglove/ekcert"
	"github.com/whiteglove/whiteglove/examples/internal/command"
	"github.com/whiteglove/whiteglove/examples/internal/device"
	"github.com/whiteglove/whiteglove/examples/internal/services"
	"github.com/whiteglove/whiteglove/provision"
	"github.com/whiteglove/whiteglove/provision/provisiontest"
	"github.com/whiteglove/whiteglove/trace"
)

func main() { command.Main(program()) }

// newProvisioner returns the Provisioner of a device with the TPM chip. It knows
// where the services are and whom to trust. The commands and requests of a run
// are counted and traced.
func newProvisioner(chip transport.TPM, s *services.Services, ekRoots ekcert.Roots, c *counts, t *trace.Trace) *provision.Provisioner {
	roundTripper := func(config *tls.Config) http.RoundTripper {
		config.RootCAs = s.Roots
		return t.HTTP(&http.Client{Transport: countedHTTP{command.Transport(config), c}}).Transport
	}
	return &provision.Provisioner{
		TPM:        &attest.TPM{Transport: t.TPM(countedTPM{chip, c})},
		Management: s.URL + provisiontest.DiscoveryPath,
		EKCert:     &ekcert.Client{Roots: ekRoots, SCEPURL: s.URL + provisiontest.MakerPath},
		AIK:        &aik.Client{URL: s.URL + provisiontest.AIKPath, Roots: s.Roots},
		DRS:        &drs.Client{BaseURL: s.URL + provisiontest.DirectoryPath},
		HTTPClient: &http.Client{Transport: roundTripper(&tls.Config{MinVersion: tls.VersionTLS12}), Timeout: time.Minute},
		MutualTLS:  roundTripper,
	}
}

// run provisions as the flags say, and writes the results.
func (o *options) run(ctx context.Context, stdout, stderr io.Writer) error {
	dev, err := device.Open(ctx, o.tpm)
	if err != nil {
		return err
	}
	defer dev.Close()
	ekRoots, makers, err := services.EKRoots(o.ekRoots)
	if err != nil {
		return err
	}
	password, err := command.Secret("-password", o.password)
	if err != nil {
		return err
	}
	profile, err := o.readProfile()
	if err != nil {
		return err
	}
	if err := o.checkState(ctx); err != nil {
		return err
	}
	// Without -server, every device with a trusted EK certificate is admitted.
	s, err := services.Open(o.server, o.roots, &provisiontest.Server{
		EKRoots: makers, AdmitAny: true, Users: o.users(password), Directory: newDirectory(profile),
	})
	if err != nil {
		return err
	}
	defer s.Close()
	if !o.json {
		fmt.Fprintf(stdout, "%s; services at %s\n", dev.Name, s.URL)
	}

	t, rep := new(trace.Trace), newReporter(stdout, o.json)
	p := newProvisioner(dev, s, ekRoots, rep.counts, t)
	if err := o.auth.Set(p.TPM, dev); err != nil {
		return err
	}
	p.SelectEK, p.EnrollEK = o.selectEK(), o.ekEnroll
	p.User, p.Store = o.newUser(p.HTTPClient, password, stderr), o.store()
	if err := o.follow(p, profile); err != nil {
		return err
	}
	p.Setup.Pause, p.Setup.Progress, p.SealEarly = o.pause, rep.progress, o.sealEarly
	p.Observe = func(ev provision.Event) {
		t.Observe(ev)
		rep.observe(ev)
		passing()
	}
	start := time.Now()
	state, err := p.Run(ctx)
	if o.json {
		rep.printResult(state, err)
	}
	if state != nil && state.DeviceID != "" {
		t.SetSubject("device " + state.DeviceID)
	}
	unwritten := o.writeTraces(t)
	if err != nil {
		return o.blame(ctx, p, err)
	}
	if !o.json {
		rep.printTotal(state, time.Since(start))
	}
	if o.out != "" {
		unwritten = errors.Join(unwritten, command.At("-out", write(o.out, state, rep.steps)))
	}
	if unwritten != nil {
		return command.At("the run succeeded, but a file was not written", unwritten)
	}
	return nil
}
