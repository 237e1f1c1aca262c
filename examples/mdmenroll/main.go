// Mdmenroll enrolls this machine, or an emulated TPM, with any management server
// that speaks the enrollment protocol of Windows ([MS-MDE2]). It holds management
// sessions, and shows the enrollment status page as Windows would.
//
//	go run ./examples/mdmenroll -discover URL -roots roots.pem -token @FILE
//	go run ./examples/mdmenroll -renew -out DIR -tpm soft:STATE -roots roots.pem
//	go run ./examples/mdmenroll -domain contoso.com -user NAME -password @FILE -session 5 -esp
//
// The management key is made in the TPM and never leaves it.
//
// It exits with 0 if the device is enrolled and no session failed, with 1 if
// not, and with 2 if it was called wrongly. With -esp it also exits with 1 if the
// page is still in progress at the end or a command of the server failed.
package main

import (
	"cmp"
	"context"
	"crypto/rsa"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/whiteglove/whiteglove/attest"
	"github.com/whiteglove/whiteglove/examples/internal/command"
	"github.com/whiteglove/whiteglove/examples/internal/device"
	"github.com/whiteglove/whiteglove/mdm"
	"github.com/whiteglove/whiteglove/mdm/esp"
	"github.com/whiteglove/whiteglove/prove"
	"github.com/whiteglove/whiteglove/trace"
)

func main() { command.Main(program()) }

// An enrollment is what a run has and what it makes.
type enrollment struct {
	*options
	tpm      *attest.TPM
	client   *mdm.Client
	with     mdm.Credential
	ofDevice bool // the token is a device's and names no user
	stdout   io.Writer
	stderr   io.Writer
	trace    *trace.Trace // of -har; nil without it

	key    *attest.Key
	got    *mdm.Enrollment
	cert   *x509.Certificate
	at     *mdm.Discovery
	report *esp.Report
	held   []sessionSummary
	orders []order
}

// enroll finds the services, asks for the enrollment policy and enrolls a key.
func (e *enrollment) enroll(ctx context.Context) error {
	at, err := e.address()
	if err != nil {
		return err
	}
	d, err := e.client.Discover(ctx, at, e.user)
	if err != nil {
		return err
	}
	e.at = d
	fmt.Fprintf(e.stdout, "discovery    version %s, says %s, enrolls at %s\n", d.EnrollVersion, d.AuthPolicy, d.EnrollURL)
	p, err := e.client.Policy(ctx, d, e.with)
	if err != nil {
		return err
	}
	fmt.Fprintf(e.stdout, "policy       RSA of %d bits, %v\n", p.MinimalKeyLength, p.Hash)
	req, err := e.request(ctx, p)
	if err != nil {
		return err
	}
	if e.got, err = e.client.Enroll(ctx, d, p, req); err != nil {
		return err
	}
	e.cert = e.got.Certificate
	fmt.Fprintf(e.stdout, "enrollment   %s by %s until %s\n", e.cert.Subject, e.cert.Issuer, e.cert.NotAfter.UTC().Format(time.DateOnly))
	fmt.Fprintf(e.stdout, "management   %s at %s\n", e.got.ProviderID, e.got.Server)
	return nil
}

// request makes the management key. If the policy speaks of attestation, it also
// makes a proof that the key is in the TPM.
func (e *enrollment) request(ctx context.Context, p *mdm.Policy) (*mdm.Request, error) {
	algorithm := attest.RSA2048
	switch {
	case p.MinimalKeyLength > 3072 && !e.shortKey:
		return nil, fmt.Errorf("the policy wants an RSA key of %d bits, and TPMs make none over 3072; some servers do not insist, try -short-key", p.MinimalKeyLength)
	case max(p.MinimalKeyLength, e.keySize) > 2048:
		algorithm = attest.RSA3072
	}
	var err error
	e.key, err = e.tpm.CreateKey(ctx, attest.Template{Algorithm: algorithm, Usage: attest.Sign})
	if e.client.ShortKeys = e.shortKey; err != nil && e.shortKey { // many TPMs make no key over 2048 bits
		e.key, err = e.tpm.CreateKey(ctx, attest.Template{Algorithm: attest.RSA2048, Usage: attest.Sign})
	}
	if err != nil {
		return nil, err
	}
	if pub, ok := e.key.Public().(*rsa.PublicKey); ok && pub.N.BitLen() < p.MinimalKeyLength {
		fmt.Fprintf(e.stderr, "mdmenroll: warning: the key has %d bits, and the policy wants %d\n", pub.N.BitLen(), p.MinimalKeyLength)
	}
	req := &mdm.Request{Credential: e.with, Key: e.key, Context: []mdm.Item{
		mdm.BoolItem(mdm.ItemUXInitiated, !e.ofDevice), mdm.BoolItem(mdm.ItemNotInOOBE, !e.ofDevice),
	}}
	if e.ofDevice {
		req.Context = append(req.Context, mdm.BoolItem(mdm.ItemWhiteGlove, true))
	}
	if p.AsksAttestation() {
		err = e.attest(ctx, p, req)
	}
	return req, err
}

// attest makes an attestation key and certifies the management key with it, for the
// server or for the service of Azure Attestation that the policy names.
func (e *enrollment) attest(ctx context.Context, p *mdm.Policy, req *mdm.Request) error {
	aik, err := e.tpm.CreateKey(ctx, attest.Template{Algorithm: attest.RSA2048, Usage: attest.Attest})
	if err != nil {
		return err
	}
	id := &prove.Identity{TPM: e.tpm, AIK: aik}
	if p.Azure != nil {
		blob, err := e.client.AttestAzure(ctx, e.at, p, id.AzureEvidence(e.key, nil))
		req.Context = append(req.Context, blob)
		return err
	}
	req.Attestation, err = id.EnrollAttestation(ctx, e.key, nil)
	return err
}

// run opens the TPM, enrolls and holds the sessions. If a session fails, it
// writes the results up to there before it returns the error.
func (o *options) run(ctx context.Context, stdout, stderr io.Writer) (err error) {
	var before *kept
	if o.renew || o.unenroll {
		if before, err = o.readKept(); err != nil {
			return err
		}
	}
	dev, err := device.Open(ctx, o.tpm)
	if err != nil {
		return err
	}
	defer dev.Close()
	fmt.Fprintln(stdout, dev.Name)
	e := &enrollment{options: o, tpm: &attest.TPM{Transport: dev}, stdout: stdout, stderr: stderr}
	if e.client, err = o.newClient(ctx, e.tpm); err != nil {
		return err
	}
	if o.har != "" {
		e.trace = new(trace.Trace)
		e.client.HTTPClient = e.trace.HTTP(e.client.HTTPClient)
		defer func() { err = errors.Join(err, e.writeHAR()) }()
	}
	if before != nil {
		return e.again(ctx, before)
	}
	if e.with, e.ofDevice, err = o.credential(); err != nil {
		return err
	}
	if !e.ofDevice {
		e.client.Device.EnrollmentType = "Full"
	}
	e.client.Device.EnrollmentType = cmp.Or(o.enrollmentType, e.client.Device.EnrollmentType)
	if err := e.enroll(ctx); err != nil {
		warn(stderr, err)
		return err
	}
	err = e.runSessions(ctx)
	if o.out != "" {
		err = errors.Join(err, e.write())
	}
	return err
}
