// Package canceltest ends the context of a call while an answer of a server is read,
// for tests that show that the call then ends, and how.
package canceltest

import (
	"context"
	"errors"
	"io"
	"net/http"
	"testing"
	"time"
)

// patience is how long a call may take to end after its context.
const patience = 30 * time.Second

// A Transport ends the context of a call before a byte of the answers to it. Bodies then
// fail as those of net/http do. Bytes count over all answers, from 0.
type Transport struct {
	Next   http.RoundTripper  // if nil, http.DefaultTransport
	Cancel context.CancelFunc // ends the context
	At     int                // the byte; below 0 never

	Read      int  // bytes that were read
	Cut       bool // whether the context was ended
	Asked     int  // requests
	Late      int  // requests after the end
	Completed int  // answers that were read to their end
}

// RoundTrip implements [http.RoundTripper]. It is for calls that send one request at a
// time.
func (t *Transport) RoundTrip(r *http.Request) (*http.Response, error) {
	t.Asked++
	if t.Cut {
		t.Late++
	}
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	next := t.Next
	if next == nil {
		next = http.DefaultTransport
	}
	res, err := next.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	res.Body = &body{res.Body, t, r.Context()}
	return res, nil
}

// A body is that of an answer.
type body struct {
	io.ReadCloser
	t   *Transport
	ctx context.Context
}

// Read ends the context at its byte, and reads no more than up to that.
func (b *body) Read(p []byte) (int, error) {
	if b.t.At == b.t.Read && !b.t.Cut {
		b.t.Cut = true
		b.t.Cancel()
	}
	if err := b.ctx.Err(); err != nil {
		return 0, err
	}
	if b.t.At > b.t.Read {
		p = p[:min(len(p), b.t.At-b.t.Read)]
	}
	n, err := b.ReadCloser.Read(p)
	b.t.Read += n
	if errors.Is(err, io.EOF) {
		b.t.Completed++
	}
	return n, err
}

// Everywhere calls f once undisturbed, which must succeed, and then again and again with
// a context that ends at about points bytes, spread over the answers, among them the
// first. Each of these calls must end soon, with the error of the context, and send
// nothing more. next is that of [Transport].
func Everywhere(t *testing.T, points int, next http.RoundTripper, f func(context.Context, *http.Client) error) {
	t.Helper()
	run := func(at int) (*Transport, error) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		c := &Transport{Next: next, Cancel: cancel, At: at}
		done := make(chan error, 1)
		go func() { done <- f(ctx, &http.Client{Transport: c}) }()
		select {
		case err := <-done:
			return c, err
		case <-time.After(patience):
			t.Fatalf("byte %d: does not end", at)
			return nil, nil
		}
	}
	whole, err := run(-1)
	if err != nil || whole.Read == 0 {
		t.Fatalf("undisturbed: %d bytes, %v", whole.Read, err)
	}
	for at := 0; at < whole.Read; at += 1 + whole.Read/points {
		c, err := run(at)
		if !c.Cut { // answers differ in length from call to call
			continue
		}
		if !errors.Is(err, context.Canceled) || c.Late > 0 {
			t.Errorf("byte %d of %d: %v; %d requests after the end", at, whole.Read, err, c.Late)
		}
	}
}
