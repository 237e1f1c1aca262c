package drs_test

import (
	"bytes"
	"context"
	"io"
	"net/http"

	"github.com/whiteglove/whiteglove/drs"
)

// fixed is a transport that gives every request the same answer.
type fixed struct {
	status int
	body   []byte
}

func (f *fixed) with(status int, body []byte) *fixed {
	f.status, f.body = status, body
	return f
}

func (f *fixed) RoundTrip(req *http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: f.status, Header: make(http.Header), Body: io.NopCloser(bytes.NewReader(f.body)), Request: req}, nil
}

func (f *fixed) discover(c *drs.Client) (*drs.Discovery, error) {
	return c.Discover(context.Background(), tenantID)
}
