// Attestor is a device that attests to a verifier over HTTPS: it shows the certificate
// of its TPM's endorsement key, makes an attestation key, proves that the TPM has both,
// and sends a quote of its PCRs with the event log.
//
//	go run ./examples/attestor -url URL -roots roots.pem -boot
//	go run ./examples/attestor -url URL -tpm device -state aik.pem -token @token
//
// With -state it keeps the attestation key, wrapped by the TPM, and attests again with
// it the next time. With -certify it makes another key, and proves that it is in the
// same TPM. -boot is for an emulated TPM that was just started: it puts the events of a
// log into the PCRs first, as firmware does.
//
// It exits with 0 if the verifier trusts the device, with 3 if the verifier refuses it,
// with 1 if something else failed, and with 2 if it was called wrongly.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"

	"github.com/whiteglove/whiteglove/attest"
	"github.com/whiteglove/whiteglove/examples/internal/command"
	"github.com/whiteglove/whiteglove/examples/internal/device"
	"github.com/whiteglove/whiteglove/prove"
	"github.com/whiteglove/whiteglove/verify"
	"github.com/whiteglove/whiteglove/verify/verifytest"
)

func main() { command.Main(program()) }

// An attestor attests.
type attestor struct {
	tpm    *attest.TPM
	client *client

	ek  *attest.EK
	aik *attest.Key
}

// run opens the TPM and attests.
func (o *options) run(ctx context.Context, stdout, _ io.Writer) error {
	dev, err := device.Open(ctx, o.tpm)
	if err != nil {
		return err
	}
	defer dev.Close()
	log, err := o.log()
	if err != nil {
		return err
	}
	if o.boot {
		if err := verifytest.Boot(dev, log); err != nil {
			return err
		}
	}
	a := &attestor{tpm: &attest.TPM{Transport: dev}}
	if err := o.auth.Set(a.tpm, dev); err != nil {
		return err
	}
	if a.client, err = o.client(); err != nil {
		return err
	}
	release := a.tpm.Keep()
	defer release(context.WithoutCancel(ctx))
	request, err := a.begin(ctx, o.state)
	if err != nil {
		return err
	}
	if err := o.prove(ctx, a, request, log); err != nil {
		return err
	}
	_, err = fmt.Fprintln(stdout, "trusted: device", request.Device)
	return err
}

// prove sends the evidence.
func (o *options) prove(ctx context.Context, a *attestor, request *verify.Request, log []byte) error {
	var keys []*attest.Key
	if o.certify != "" {
		key, err := a.tpm.CreateKey(ctx, attest.Template{Algorithm: attest.P256, Usage: attest.Sign})
		if err != nil {
			return err
		}
		keys = append(keys, key)
	}
	evidence, err := request.Evidence(ctx, a.tpm, a.aik, keys...)
	if err != nil {
		return err
	}
	evidence.EventLog = log
	var verdict verify.Verdict
	if err := a.client.send(ctx, "/evidence", evidence, &verdict); err != nil {
		return err
	}
	if !verdict.Trusted {
		return refused(http.StatusOK, &verdict, a.client.advice("/evidence", evidence, verdict.Reason))
	}
	if o.certify == "" {
		return nil
	}
	return writeKey(o.certify, keys[0])
}

// begin returns the verifier's request for a quote. It attests again with the key in
// the state file if there is one that the verifier knows, and begins anew otherwise.
func (a *attestor) begin(ctx context.Context, state string) (*verify.Request, error) {
	var err error
	if a.aik, err = a.load(ctx, state); err != nil {
		return nil, err
	}
	request := new(verify.Request)
	if a.aik != nil {
		err := a.client.send(ctx, "/again", &verify.Again{Device: (&verify.Device{AIKPublicArea: a.aik.PublicArea()}).ID()}, request)
		var no *refusal
		if !errors.As(err, &no) || no.status != http.StatusNotFound {
			return request, err
		}
	} else if a.aik, err = a.tpm.CreateKey(ctx, attest.Template{Usage: attest.Attest}); err != nil {
		return nil, err
	}
	hello, err := a.hello(ctx)
	if err != nil {
		return nil, err
	}
	var challenge verify.Challenge
	if err := a.client.send(ctx, "/hello", hello, &challenge); err != nil {
		return nil, err
	}
	secret, err := a.tpm.Activator(a.ek, a.aik)(ctx, challenge.Blob, challenge.EncryptedSecret)
	if err != nil {
		return nil, err
	}
	if err := a.client.send(ctx, "/answer", &verify.Answer{ID: challenge.ID, Secret: secret}, request); err != nil {
		return nil, err
	}
	if state == "" {
		return request, nil
	}
	return request, writeKey(state, a.aik)
}

// hello returns the first message, with the first endorsement key that has a
// certificate.
func (a *attestor) hello(ctx context.Context) (*verify.Hello, error) {
	ek, cert, err := prove.FindEK(ctx, a.tpm, nil, "")
	if err != nil {
		return nil, err
	}
	a.ek = ek
	h := &verify.Hello{EKCertificate: cert.Raw, EKPublicArea: ek.PublicArea, AIKCreation: a.aik.Creation()}
	for _, issuer := range cert.Issuers {
		h.Issuers = append(h.Issuers, issuer.Raw)
	}
	return h, nil
}
