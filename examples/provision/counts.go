package main

import (
	"context"
	"net/http"
	"sync"

	"github.com/google/go-tpm/tpm2/transport"

	"github.com/whiteglove/whiteglove/provision"
)

// A cost is how many commands and requests were sent.
type cost struct{ tpmCommands, httpRequests int64 }

// counts keeps the cost of each step. It may be used by several goroutines.
type counts struct {
	mu    sync.Mutex
	steps map[provision.Step]cost // at "": what belongs to no step
}

// add adds to the cost of the step that ctx belongs to.
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

// sum returns the cost of the run so far.
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

// passing is called before and after each command and request, and at each
// event. Tests end the process there.
var passing = func() {}

// countedTPM counts the commands that it passes on.
type countedTPM struct {
	transport.TPM
	counts *counts
}

// SendContext sends a command. [attest.TPM] calls it with the context of the
// step.
func (c countedTPM) SendContext(ctx context.Context, command []byte) ([]byte, error) {
	c.counts.add(ctx, 1, 0)
	passing()
	defer passing()
	return c.Send(command)
}

// countedHTTP counts the requests that it passes on.
type countedHTTP struct {
	http.RoundTripper
	counts *counts
}

// RoundTrip implements [http.RoundTripper].
func (c countedHTTP) RoundTrip(req *http.Request) (*http.Response, error) {
	c.counts.add(req.Context(), 0, 1)
	passing()
	defer passing()
	return c.RoundTripper.RoundTrip(req)
}
