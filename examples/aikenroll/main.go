// Aikenroll obtains a certificate for an attestation key from an attestation
// CA, as Windows does before anything else of pre-provisioning: it finds the
// TPM's endorsement key and its certificate, makes the key, asks the CA over
// SCEP, and lets the TPM open the CA's challenge.
//
//	go run ./examples/aikenroll
//	go run ./examples/aikenroll -url URL -roots roots.pem -out DIR
//
// Without flags it uses an emulated TPM and a mock CA, both in this process.
// With -begin and -complete it does its work in two runs that share nothing but
// a file and the TPM.
//
// It exits with 0 if the key is certified (or asked for, with -begin), with 1 if
// not, and with 2 if it was called wrongly.
package main

import (
	"context"
	"crypto/x509"
	"fmt"
	"io"
	"time"

	"github.com/whiteglove/whiteglove/aik"
	"github.com/whiteglove/whiteglove/attest"
	"github.com/whiteglove/whiteglove/ekcert"
	"github.com/whiteglove/whiteglove/examples/internal/command"
	"github.com/whiteglove/whiteglove/examples/internal/device"
	"github.com/whiteglove/whiteglove/prove"
)

func main() { command.Main(program()) }

// An enroller obtains a certificate for a key of a TPM.
type enroller struct {
	tpm      *attest.TPM
	template attest.Template
	ekcert   *ekcert.Client
	aik      *aik.Client

	// What it finds and makes.
	ek    *attest.EK
	key   *attest.Key
	chain []*x509.Certificate // the key's certificate and its issuers, root last
}

// enroll does all in one run.
func (e *enroller) enroll(ctx context.Context) error {
	req, err := e.request(ctx)
	if err != nil {
		return err
	}
	e.chain, err = e.aik.Enroll(ctx, req)
	return err
}

// request finds the first endorsement key that has a certificate, verifies
// that, and makes an attestation key.
func (e *enroller) request(ctx context.Context) (*aik.Request, error) {
	ek, cert, err := prove.FindEK(ctx, e.tpm, e.ekcert, "")
	if err != nil {
		return nil, err
	}
	report, err := e.ekcert.Verify(ctx, cert, ek.Public)
	if err != nil {
		return nil, err
	}
	e.ek = ek
	if e.key, err = e.tpm.CreateKey(ctx, e.template); err != nil {
		return nil, err
	}
	return (&prove.Identity{TPM: e.tpm, EK: ek, EKChain: report.Chain, AIK: e.key}).AIKRequest(), nil
}

// run opens the TPM and does what the flags ask for: all of it, or one half.
func (o *options) run(ctx context.Context, stdout, _ io.Writer) error {
	var challenge *challengeFile
	if o.complete != "" {
		var err error
		if challenge, err = readChallenge(o.complete); err != nil {
			return err
		}
	}
	dev, err := device.Open(ctx, o.tpm)
	if err != nil {
		return err
	}
	defer dev.Close()
	e, stop, err := o.enroller(&attest.TPM{Transport: dev})
	if err != nil {
		return err
	}
	defer stop()
	fmt.Fprintln(stdout, dev.Name)
	switch {
	case o.begin != "":
		return e.begin(ctx, o.begin, stdout)
	case o.complete != "":
		err = e.complete(ctx, o.complete, challenge)
	default:
		err = e.enroll(ctx)
	}
	if err != nil {
		return err
	}
	fmt.Fprintf(stdout, "attestation key certified by %q until %s, trust: %s\n",
		e.chain[0].Issuer, e.chain[0].NotAfter.UTC().Format(time.DateOnly), aik.Trust(e.chain[0]))
	if o.out == "" {
		return nil
	}
	key, err := e.key.MarshalText()
	if err != nil {
		return err
	}
	return command.WriteDir(o.out,
		command.File{Name: "aik.pem", Text: command.EncodeCertificates(e.chain...)},
		command.File{Name: "aik-key.pem", Text: key})
}
