package main

import (
	"net/http"
	"sync/atomic"

	"github.com/google/go-tpm/tpm2/transport"
)

// counts counts what crosses the two seams of a run.
type counts struct {
	tpmCommands, httpRequests atomic.Int64
}

// passing is called before and after whatever crosses a seam, and at each event.
// Tests end the process there.
var passing = func() {}

// countedTPM counts commands.
type countedTPM struct {
	transport.TPM
	counts *counts
}

// Send implements transport.TPM.
func (c countedTPM) Send(command []byte) ([]byte, error) {
	c.counts.tpmCommands.Add(1)
	passing()
	defer passing()
	return c.TPM.Send(command)
}

// countedHTTP counts requests.
type countedHTTP struct {
	http.RoundTripper
	counts *counts
}

// RoundTrip implements http.RoundTripper.
func (c countedHTTP) RoundTrip(req *http.Request) (*http.Response, error) {
	c.counts.httpRequests.Add(1)
	passing()
	defer passing()
	return c.RoundTripper.RoundTrip(req)
}
