package main

import (
	"context"
	"crypto"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/whiteglove/whiteglove/attest"
	"github.com/whiteglove/whiteglove/autopilot/graph"
	"github.com/whiteglove/whiteglove/examples/internal/command"
	"github.com/whiteglove/whiteglove/examples/internal/device"
	"github.com/whiteglove/whiteglove/internal/wire"
	"github.com/whiteglove/whiteglove/provision/provisiontest"
)

// register registers the devices of a file, and shows how far each is.
func (o *options) register(ctx context.Context, stdout, stderr io.Writer) error {
	s, err := readSheet(o.args[1])
	if err != nil {
		return wrong(err)
	}
	if len(s.Rows) == 0 {
		return wrong(fmt.Errorf("%s: there is no device in it: name a file with a line for each device", o.args[1]))
	}
	// What the service would refuse is said, and sent all the same: it decides.
	refused := warn(stderr, s)
	c, pause, done, err := o.service(ctx, stderr)
	if err != nil {
		return err
	}
	defer done()
	if c.Token != nil {
		if err := first(ctx, c.Token, o.pause); err != nil {
			return err
		}
	}
	p := newProgress(stdout, o.json, command.IsTerminal(stdout), s.Rows)
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	unreached := 0
	r := &graph.Registration{Client: c, Until: graph.Stage(o.until), Pause: pause, Forget: o.forget, Observe: func(e graph.Event) {
		p.observe(e)
		if unanswered(e) {
			unreached++
		}
		if unreached >= tries {
			stop(&unreachedError{e.Err})
		}
		if err := tooBusy(ctx, e); err != nil {
			stop(&unreachedError{err})
		}
	}}
	results, err := r.Run(ctx, s.Rows)
	var unreachable *unreachedError
	if errors.As(context.Cause(ctx), &unreachable) {
		return unreachable
	}
	if perr := p.print(results); err == nil {
		err = perr
	}
	switch {
	case err == nil && refused && o.graph == "":
		return fmt.Errorf("the mock service took what the real one refuses: mend %s", o.args[1])
	case err == nil || errors.Is(err, context.Canceled):
		return err
	case ctx.Err() != nil:
		return late(results)
	}
	failed := 0
	for _, res := range results {
		if res.Err != nil {
			failed++
		}
	}
	return command.At(fmt.Sprintf("%d of %s failed, the first of them", failed, command.Count(len(results), "device")), err)
}

// late returns the error of a run whose time was up. The service works on what it took, so
// nothing of that is lost.
func late(results []graph.Result) error {
	open, untaken, why := 0, 0, ""
	for _, res := range results {
		if !ended(res.Err) {
			continue
		}
		open++
		if res.Import == nil {
			untaken++
			var last *graph.Error
			if errors.As(res.Err, &last) {
				why = ": " + command.Brief(last)
			}
		}
	}
	if untaken > 0 {
		return fmt.Errorf("-timeout ended before the service took %d of %s%s. Run the same command again, with more time", untaken, command.Count(len(results), "device"), why)
	}
	return fmt.Errorf("-timeout ended first for %d of %s. The service works on: run the same command again, with more time, to follow it", open, command.Count(len(results), "device"))
}

// tries is how often a service is asked that does not answer before anything is
// submitted. The pauses between the tries are 30 seconds in all.
const tries = 5

// unanswered reports whether nothing could be submitted, since the service did not
// answer.
func unanswered(e graph.Event) bool {
	var failed *graph.Error
	return e.Stage == graph.StageSubmitted && errors.As(e.Err, &failed) && failed.HTTPStatus == 0
}

// tooBusy returns an error if nothing could be submitted, and the service asks for a pause
// that is longer than the time that is left.
func tooBusy(ctx context.Context, e graph.Event) error {
	var busy *graph.Error
	end, limited := ctx.Deadline()
	if !limited || e.Stage != graph.StageSubmitted || !errors.As(e.Err, &busy) || busy.RetryAfter <= time.Until(end) {
		return nil
	}
	return fmt.Errorf("%s. The service asks to wait %s, longer than -timeout: run again then", command.Brief(busy), wire.Span(busy.RetryAfter))
}

// An unreachedError is why nothing was submitted.
type unreachedError struct{ err error }

// Error returns that nothing was submitted, and why.
func (e *unreachedError) Error() string { return "nothing was submitted: " + e.err.Error() }

// Unwrap returns why.
func (e *unreachedError) Unwrap() error { return e.err }

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
	pool, err := command.ReadRoots("-roots", o.roots)
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
		var token string
		token, err = command.Secret("-token", o.token)
		c.Token = func(context.Context) (string, error) { return token, nil }
	case o.clientSecret != "":
		a.secret, err = command.Secret("-client-secret", o.clientSecret)
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
		return command.Wrong("-client-cert", err)
	}
	text, err := command.ReadSmall(o.clientKey)
	if err != nil {
		return command.Wrong("-client-key", err)
	}
	key, err := tpm.LoadKey(ctx, text)
	if err != nil {
		return device.Kept("-client-key "+o.clientKey, err, "make a new key and have it certified")
	}
	if pub, ok := key.Public().(interface{ Equal(crypto.PublicKey) bool }); ok && !pub.Equal(certs[0].PublicKey) {
		return wrong(errors.New("-client-cert is for another key than -client-key: name the certificate of this key, or its key"))
	}
	a.certificate, a.key = certs[0], key.WithContext(ctx)
	return nil
}
