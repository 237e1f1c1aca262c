package main

import (
	"bytes"
	"context"
	"crypto"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/whiteglove/whiteglove/attest"
	"github.com/whiteglove/whiteglove/autopilot"
	"github.com/whiteglove/whiteglove/autopilot/graph"
	"github.com/whiteglove/whiteglove/examples/internal/command"
	"github.com/whiteglove/whiteglove/examples/internal/device"
	"github.com/whiteglove/whiteglove/provision/provisiontest"
)

// register registers the devices of a file, and shows how far each is.
func (o *options) register(ctx context.Context, stdout, stderr io.Writer) error {
	text, err := command.ReadFile(o.args[1])
	if err != nil {
		return err
	}
	s, err := autopilot.ReadCSV(bytes.NewReader(text))
	if err != nil {
		return err
	}
	if len(s.Rows) == 0 {
		return fmt.Errorf("%s: there is no device in it", o.args[1])
	}
	// What the service would refuse is said, and sent all the same: it decides.
	for _, f := range (&autopilot.Sheet{Format: s.Format, Rows: s.Rows}).Lint() {
		if f.Refused {
			fmt.Fprintf(stderr, "%s: %s\n", o.args[1], f)
		}
	}
	c, pause, done, err := o.service(ctx, stderr)
	if err != nil {
		return err
	}
	defer done()
	p := newProgress(stdout, command.IsTerminal(stdout) && !o.json, s.Rows)
	r := &graph.Registration{Client: c, Until: graph.Stage(o.until), Pause: pause, Observe: p.observe, Forget: o.forget}
	results, err := r.Run(ctx, s.Rows)
	if perr := p.print(results); err == nil {
		return perr
	}
	failed := 0
	for _, res := range results {
		if res.Err != nil {
			failed++
		}
	}
	fmt.Fprintf(stderr, "%d of %d devices failed; the first of them:\n", failed, len(results))
	return err
}

// service returns a client of the service that the flags name. Without one it
// starts a mock service, for which it also returns a pause: it is a thousand times
// faster than the real one.
func (o *options) service(ctx context.Context, stderr io.Writer) (c *graph.Client, pause func(graph.Stage, int) time.Duration, done func(), err error) {
	if o.pause > 0 {
		pause = func(graph.Stage, int) time.Duration { return o.pause }
	}
	if o.graph == "" {
		fmt.Fprintln(stderr, "a mock service in this process registers the devices; see -graph")
		s := provisiontest.NewServer()
		if pause == nil {
			pause = func(graph.Stage, int) time.Duration { return 20 * time.Millisecond }
		}
		return s.Graph(), pause, func() { s.Close() }, nil
	}
	pool, err := command.ReadRoots(o.roots)
	if err != nil {
		return nil, nil, nil, err
	}
	c = &graph.Client{BaseURL: o.graph, HTTPClient: command.HTTPClient(pool)}
	if o.graph == "public" {
		c.BaseURL = graph.PublicURL
	}
	a := &authorization{
		client: c.HTTPClient, authority: o.authority + "/" + o.tenant + "/oauth2/v2.0", clientID: o.clientID, stderr: stderr, now: time.Now,
	}
	done = func() {}
	switch {
	case o.token != "":
		token, err := command.Secret(o.token)
		c.Token = func(context.Context) (string, error) { return token, err }
	case o.clientSecret != "":
		a.secret, err = command.Secret(o.clientSecret)
		c.Token = a.cached(a.bySecret)
	case o.clientCert != "":
		var dev *device.Device
		if dev, err = device.Open(ctx, o.tpm); err == nil {
			done = func() { dev.Close() }
			err = o.loadKey(ctx, a, &attest.TPM{Transport: dev})
		}
		c.Token = a.cached(a.byAssertion)
	default:
		c.Token = a.cached(a.byDeviceCode)
	}
	if err != nil {
		done()
		return nil, nil, nil, err
	}
	return c, pause, done, nil
}

// loadKey loads the key of the client's certificate, which the TPM made.
func (o *options) loadKey(ctx context.Context, a *authorization, tpm *attest.TPM) error {
	certs, err := command.ReadCertificates(o.clientCert)
	if err != nil {
		return err
	}
	text, err := command.ReadFile(o.clientKey)
	if err != nil {
		return err
	}
	key, err := tpm.LoadKey(ctx, text)
	if err != nil {
		return fmt.Errorf("%s: %w", o.clientKey, err)
	}
	if pub, ok := key.Public().(interface{ Equal(crypto.PublicKey) bool }); ok && !pub.Equal(certs[0].PublicKey) {
		return errors.New("-client-cert is for another key than -client-key")
	}
	a.certificate, a.key = certs[0], key.WithContext(ctx)
	return nil
}
