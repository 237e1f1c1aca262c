package main

import (
	"context"
	"net/http"
	"sync"

	"github.com/google/go-tpm/tpm2/transport"

	"github.com/whiteglove/whiteglove/provision"
)

// A cost is what crossed the two seams of a run.
type cost struct{ tpmCommands, httpRequests int64 }

// counts counts it by step.
type counts struct {
	mu    sync.Mutex
	steps map[provision.Step]cost // that of "" is beside all steps
}

// add adds to the step of ctx.
func (c *counts) add(ctx context.Context, tpm, http int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.steps == nil {
		c.steps = make(map[provision.Step]cost)
	}
	step := provision.StepOf(ctx)
	sum := c.steps[step]
	c.steps[step] = cost{sum.tpmCommands + tpm, sum.httpRequests + http}
}

// sum returns the cost of the run.
func (c *counts) sum() (all cost) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, step := range c.steps {
		all.tpmCommands += step.tpmCommands
		all.httpRequests += step.httpRequests
	}
	return all
}

// of returns the cost of a step so far.
func (c *counts) of(step provision.Step) cost {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.steps[step]
}

// passing is called before and after whatever crosses a seam, and at each event.
// Tests end the process there.
var passing = func() {}

// countedTPM counts commands.
type countedTPM struct {
	transport.TPM
	counts *counts
}

// SendContext is what attest.TPM calls.
func (c countedTPM) SendContext(ctx context.Context, command []byte) ([]byte, error) {
	c.counts.add(ctx, 1, 0)
	passing()
	defer passing()
	return c.Send(command)
}

// countedHTTP counts requests.
type countedHTTP struct {
	http.RoundTripper
	counts *counts
}

// RoundTrip implements http.RoundTripper.
func (c countedHTTP) RoundTrip(req *http.Request) (*http.Response, error) {
	c.counts.add(req.Context(), 0, 1)
	passing()
	defer passing()
	return c.RoundTripper.RoundTrip(req)
}
