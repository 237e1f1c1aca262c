package ekcert_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/whiteglove/whiteglove/attest/attesttest"
	"github.com/whiteglove/whiteglove/ekcert"
	"github.com/whiteglove/whiteglove/ekcert/ekcerttest"
)

// A canceler cancels a context after a number of bytes of the nth answer, and leaves
// the rest of the answer unsent until then.
type canceler struct {
	cancel     func()
	answer, at int
	seen       int
	size       int // of the answer, 0 if there is none
}

// RoundTrip implements http.RoundTripper.
func (c *canceler) RoundTrip(r *http.Request) (*http.Response, error) {
	res, err := http.DefaultTransport.RoundTrip(r)
	if c.seen++; err != nil || c.seen-1 != c.answer {
		return res, err
	}
	body, err := io.ReadAll(res.Body)
	res.Body.Close()
	c.size = len(body)
	res.Body = &cut{ctx: r.Context(), body: body[:min(c.at, len(body))], cancel: c.cancel}
	return res, err
}

// A cut is a body that cancels where it ends, and then waits for the context.
type cut struct {
	ctx    context.Context
	body   []byte
	cancel func()
}

func (c *cut) Read(p []byte) (int, error) {
	if len(c.body) > 0 {
		n := copy(p, c.body)
		c.body = c.body[n:]
		return n, nil
	}
	c.cancel()
	<-c.ctx.Done()
	return 0, c.ctx.Err()
}

func (c *cut) Close() error { return nil }

// cancelEverywhere calls f with a client that cancels its context at a sample of bytes
// of each answer. Each call must end soon with the error of the context.
func cancelEverywhere(t *testing.T, f func(context.Context, *http.Client) error) {
	t.Helper()
	for answer := 0; ; answer++ {
		for _, part := range []int{0, 1, 2, 3, 4} {
			ctx, cancel := context.WithCancel(t.Context())
			c := &canceler{cancel: cancel, answer: answer}
			if part > 0 {
				c.at = []int{0, 1, 100, 1000, 1 << 30}[part]
			}
			done := make(chan error, 1)
			go func() { done <- f(ctx, &http.Client{Transport: c}) }()
			select {
			case err := <-done:
				cancel()
				if c.seen <= answer { // there is no such answer
					if answer == 0 || err != nil {
						t.Errorf("after %d answers: %v", answer, err)
					}
					return
				}
				if !errors.Is(err, context.Canceled) {
					t.Errorf("answer %d, %d of %d bytes: %v", answer, c.at, c.size, err)
				}
			case <-time.After(20 * time.Second):
				cancel()
				t.Fatalf("answer %d, %d of %d bytes: does not end", answer, c.at, c.size)
			}
		}
	}
}

// TestCancelAtEachRead cancels Verify and Enroll while an answer comes.
func TestCancelAtEachRead(t *testing.T) {
	ek := ekKey(t).Public()
	m := open(t, "IFX")
	cert := parsed(t, certify(t, m, ek))
	cancelEverywhere(t, func(ctx context.Context, h *http.Client) error {
		c := client(m)
		c.HTTPClient = h
		_, err := c.Verify(ctx, cert, ek)
		return err
	})
	intel := open(t, "INTC")
	certify(t, intel, ek)
	cancelEverywhere(t, func(ctx context.Context, h *http.Client) error {
		service := &ekcert.Service{URL: intel.BaseURL + "/ekcertservice/", Vendor: "INTC", HTTPClient: h}
		_, err := (&ekcert.Client{Services: map[string]ekcert.Fetcher{"INTC": service}}).Find(ctx, nil, "INTC", ek)
		return err
	})
	d := theDevice(t)
	ca := &ekcerttest.Server{AnyEK: true}
	server := serve(t, ca)
	cancelEverywhere(t, func(ctx context.Context, h *http.Client) error {
		c := &ekcert.Client{SCEPURL: server.URL, Roots: ekcert.Roots{attesttest.Vendor: ca.Roots()}, HTTPClient: h}
		ch, err := c.Begin(ctx, d.enrollment(d.eks[0]))
		if err != nil {
			return err
		}
		secret, err := d.tpm.Activator(d.eks[0], d.ak)(context.WithoutCancel(ctx), ch.Blob, ch.EncryptedSecret)
		if err != nil {
			return err
		}
		_, err = c.Complete(ctx, ch, secret)
		return err
	})
}
