// Join takes a device through its life in a directory: it finds the tenant's
// services, proves its TPM, joins, leaves, joins again for a user and signs that
// user in.
//
// A device without a user can join in two ways. A directory with TPM challenges, as
// the mock directory, answers a proof of the TPM with a token for the join. For any
// other, such as Microsoft's public service, the token must come from elsewhere: -ticket
// is a device ticket. How Windows gets one is not public.
//
//	go run ./examples/join
//	go run ./examples/join -ticket @ticket.txt -server URL -roots roots.pem
//	go run ./examples/join -server URL -roots roots.pem -tpm soft:tpm -out DIR -step discover,token,join
//
// Without -server, it uses a mock directory in this process. Each step can be
// taken alone: what the steps before it left is in the -out folder.
//
// It exits with 0 if all steps are done, with 1 if one failed, and with 2 if it
// was called wrongly.
package main

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/whiteglove/whiteglove/attest"
	"github.com/whiteglove/whiteglove/drs"
	"github.com/whiteglove/whiteglove/drs/drstest"
	"github.com/whiteglove/whiteglove/examples/internal/command"
	"github.com/whiteglove/whiteglove/examples/internal/device"
	"github.com/whiteglove/whiteglove/examples/internal/services"
	"github.com/whiteglove/whiteglove/prove"
	"github.com/whiteglove/whiteglove/provision/provisiontest"
)

func main() { command.Main(program()) }

// steps are what a device does, in order. Each returns what it did in words.
var steps = []struct {
	name string
	take func(*joiner, context.Context) (string, error)
}{
	{"discover", (*joiner).discover},
	{"token", (*joiner).authenticate},
	{"join", (*joiner).joinTenant},
	{"leave", (*joiner).leave},
	{"rejoin", (*joiner).rejoin},
	{"signin", (*joiner).signIn},
}

// stepNames returns the names of steps.
func stepNames() []string {
	names := make([]string, len(steps))
	for i, s := range steps {
		names[i] = s.name
	}
	return names
}

// A joiner takes steps.
type joiner struct {
	*options
	services *services.Services
	tpm      *attest.TPM
	store    store
	client   *drs.Client
	signer   *services.SignIn

	discovery *drs.Discovery
	id        prove.Identity
	token     *drs.DeviceToken // never kept
}

// discover finds the tenant's services.
func (d *joiner) discover(ctx context.Context) (string, error) {
	var err error
	if d.discovery, err = d.client.Discover(ctx, d.tenant); err != nil {
		return "", err
	}
	return fmt.Sprintf("tenant %s is %s, join at %s", d.discovery.TenantName, d.discovery.TenantID, d.discovery.JoinEndpoint), nil
}

// authenticate gets the token that authorizes the join of a device without a user.
func (d *joiner) authenticate(ctx context.Context) (string, error) {
	source, err := d.tokenSource(ctx)
	if err != nil {
		return "", err
	}
	if d.token, err = source.JoinToken(ctx, d.discovery); err != nil {
		return "", err
	}
	if d.ticket != "" {
		return "device ticket of -ticket", nil
	}
	return fmt.Sprintf("token for the pre-registered device %s", d.token.ZTDID), nil
}

// tokenSource returns the source of the token. There are two: a ticket from elsewhere,
// which is the only way to join Microsoft's public service without a user; and, for a
// directory with TPM challenges, a proof of the TPM, which the directory answers with a
// token.
func (d *joiner) tokenSource(ctx context.Context) (drs.TokenSource, error) {
	if d.ticket != "" {
		return &drs.DeviceToken{Token: drs.Token(d.ticket)}, nil
	}
	if d.discovery.ProofEndpoint == "" {
		return nil, fmt.Errorf("%w: give a device ticket from elsewhere with -ticket @FILE, or take only the steps discover, rejoin and signin of a user", drs.ErrNoChallenge)
	}
	if err := d.identity(ctx); err != nil {
		return nil, err
	}
	return &drs.Prover{Client: d.client, Proof: d.id.Proof()}, nil
}

// joinTenant joins the device to the tenant, without a user.
func (d *joiner) joinTenant(ctx context.Context) (string, error) {
	if d.token == nil {
		if _, err := d.authenticate(ctx); err != nil {
			return "", err
		}
	}
	dk, tk, err := d.keys(ctx)
	if err != nil {
		return "", err
	}
	req, err := d.request(dk, tk)
	if err != nil {
		return "", err
	}
	req.DeviceToken = d.token
	if err := d.attest(ctx, req, dk, tk, d.token.Nonce); err != nil {
		return "", err
	}
	dev, err := d.client.Join(ctx, d.discovery, req)
	if err != nil {
		return "", err
	}
	return "device " + dev.ID, d.remember(dev)
}

// remember keeps what a join gave: the device's certificate and its identifier.
func (d *joiner) remember(dev *drs.Device) error {
	if err := d.keepCertificates(fileDevice, dev.Certificate); err != nil {
		return err
	}
	return d.store.put(fileDeviceID, []byte(dev.ID+"\n"))
}

// leave takes the device out of the tenant, and removes the keys of the join.
func (d *joiner) leave(ctx context.Context) (string, error) {
	dev, err := d.joined()
	if err != nil {
		return "", err
	}
	dk, _, err := d.keys(ctx)
	if err != nil {
		return "", err
	}
	if err := d.client.Leave(ctx, d.discovery, dev, dk); err != nil {
		return "", err
	}
	return "device " + dev.ID + " left", d.store.remove(fileDevice, fileDeviceKey, fileTransportKey, fileSession)
}

// rejoin joins the same device for a user, with new keys. The directory
// recognizes the device by its ticket or by its attestation key.
func (d *joiner) rejoin(ctx context.Context) (string, error) {
	id, err := d.store.get(fileDeviceID)
	if err != nil {
		return "", err
	}
	if err := d.store.remove(fileDevice, fileDeviceKey, fileTransportKey, fileSession); err != nil {
		return "", err
	}
	dk, tk, err := d.keys(ctx)
	if err != nil {
		return "", err
	}
	req, err := d.request(dk, tk)
	if err != nil {
		return "", err
	}
	if d.ticket != "" { // the directory recognizes the device by it
		if d.token == nil {
			if _, err := d.authenticate(ctx); err != nil {
				return "", err
			}
		}
		req.DeviceToken = d.token
	}
	if req.UserToken, err = d.signer.JoinToken(ctx, d.discovery); err != nil {
		return "", err
	}
	if err := d.attest(ctx, req, dk, tk, nil); err != nil {
		return "", err
	}
	dev, err := d.client.Rejoin(ctx, d.discovery, strings.TrimSpace(string(id)), req)
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("device %s is %s's", dev.ID, dev.UPN), d.remember(dev)
}

// signIn signs the user in and keeps the session, sealed so that only this TPM
// opens it. It opens the session as a later run would, and uses it.
func (d *joiner) signIn(ctx context.Context) (string, error) {
	dev, err := d.joined()
	if err != nil {
		return "", err
	}
	dk, tk, err := d.keys(ctx)
	if err != nil {
		return "", err
	}
	in := d.signer.Credential(d.user)
	in.Certificate, in.DeviceKey, in.TransportKey = dev.Certificate, dk, tk
	session, err := d.client.SignIn(ctx, d.discovery, &in)
	if err != nil {
		return "", err
	}
	text, err := session.Seal()
	if err != nil {
		return "", err
	}
	if session, err = drs.UnsealSession(text, tk); err != nil {
		return "", err
	}
	access, err := d.client.AccessToken(ctx, d.discovery, session, &drs.AccessRequest{Resource: drstest.ManagementResource})
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("%s until %s, token for %s", session.UPN, session.Expires.Format(time.DateOnly), access.Resource), d.store.put(fileSession, text)
}

// checkKept returns an error if a step needs what no step before it made, neither in this
// run nor in the folder of an earlier one.
func (d *joiner) checkKept() error {
	made := false
	for _, step := range steps {
		var err error
		switch {
		case !d.takes(step.name):
			continue
		case step.name == "join":
			made = true
		case made:
		case step.name == "rejoin":
			_, err = d.store.get(fileDeviceID)
			made = true
		case step.name == "leave" || step.name == "signin":
			_, err = d.certificates(fileDevice)
		}
		if err != nil {
			return command.At(step.name, err)
		}
	}
	return nil
}

// run opens the TPM, finds the server and takes the steps of the flags.
func (o *options) run(ctx context.Context, stdout, stderr io.Writer) (err error) {
	dev, err := device.Open(ctx, o.tpm)
	if err != nil {
		return err
	}
	defer dev.Close()
	if o.password, err = command.Secret("-password", o.password); err != nil {
		return err
	}
	if o.ticket, err = command.Secret("-ticket", o.ticket); err != nil {
		return err
	}
	o.ticket = strings.TrimSpace(o.ticket)
	s, err := services.Open(o.server, o.roots, &provisiontest.Server{AdmitAny: true, Users: map[string]string{o.user: o.password}})
	if err != nil {
		return err
	}
	defer s.Close()
	fmt.Fprintf(stdout, "%s; services at %s\n", dev.Name, s.URL)
	tpm := &attest.TPM{Transport: dev}
	release := tpm.Keep()
	defer func() {
		if rerr := release(context.WithoutCancel(ctx)); err == nil {
			err = rerr
		}
	}()
	d := &joiner{
		options: o, services: s, tpm: tpm, store: store{dir: o.out},
		client: &drs.Client{BaseURL: s.URL + provisiontest.DirectoryPath, HTTPClient: command.HTTPClient(s.Roots)},
		signer: &o.signIn, id: prove.Identity{TPM: tpm},
	}
	if err := d.checkKept(); err != nil {
		return command.Wrong("-step", err)
	}
	o.signIn.Start(d.client.HTTPClient, o.user, o.password, stderr)
	if !o.takes("discover") { // all steps need it
		if _, err := d.discover(ctx); err != nil {
			return command.At("discover", err)
		}
	}
	for _, step := range steps {
		if !o.takes(step.name) {
			continue
		}
		start := time.Now()
		what, err := step.take(d, ctx)
		if err != nil {
			return command.At(step.name, err)
		}
		fmt.Fprintf(stdout, "%-9s %7.1f ms  %s\n", step.name, float64(time.Since(start).Microseconds())/1000, what)
	}
	return nil
}
