package drstest_test

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/whiteglove/whiteglove/drs"
	"github.com/whiteglove/whiteglove/drs/drstest"
)

// A canceler ends a context after a number of bytes of the nth answer, and leaves the
// rest of it unsent.
type canceler struct {
	next       http.RoundTripper
	cancel     func()
	answer, at int
	seen       int // requests
}

// RoundTrip implements http.RoundTripper.
func (c *canceler) RoundTrip(r *http.Request) (*http.Response, error) {
	res, err := c.next.RoundTrip(r)
	if c.seen++; err != nil || c.seen-1 != c.answer {
		return res, err
	}
	body, err := io.ReadAll(res.Body)
	res.Body.Close()
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

// A context that ends at the start, within or at the end of any answer ends each call
// soon with the error of the context: nothing comes back and nothing more is sent. The
// same call succeeds afterwards.
func TestCancelAtEachRead(t *testing.T) {
	r := newTLSRig(t)
	r.server.AddUser(drstest.User{UPN: alice, Password: password})
	var (
		token   *drs.DeviceToken
		device  *drs.Device
		session *drs.Session
		req     *drs.Request
	)
	for _, call := range []struct {
		name string
		do   func(ctx context.Context, c *drs.Client) (empty bool, err error)
	}{
		{"Discover", func(ctx context.Context, c *drs.Client) (bool, error) {
			d, err := c.Discover(ctx, drstest.DefaultTenant)
			return d == nil, err
		}},
		{"Contract", func(ctx context.Context, c *drs.Client) (bool, error) {
			d, err := c.Contract(ctx)
			return d == nil, err
		}},
		{"Realm", func(ctx context.Context, c *drs.Client) (bool, error) {
			realm, err := c.Realm(ctx, r.tenant, alice)
			return realm == nil, err
		}},
		{"Capabilities", func(ctx context.Context, c *drs.Client) (bool, error) {
			list, err := c.Capabilities(ctx, r.tenant)
			return list == nil, err
		}},
		{"Nonce", func(ctx context.Context, c *drs.Client) (bool, error) {
			nonce, err := c.Nonce(ctx, r.tenant, nil)
			return nonce == "", err
		}},
		{"Authenticate", func(ctx context.Context, c *drs.Client) (_ bool, err error) {
			token, err = c.Authenticate(ctx, r.tenant, r.device.proof())
			return token == nil, err
		}},
		{"Join", func(ctx context.Context, c *drs.Client) (_ bool, err error) {
			if req == nil {
				req = r.device.request(token)
			}
			device, err = c.Join(ctx, r.tenant, req)
			return device == nil, err
		}},
		{"SignIn", func(ctx context.Context, c *drs.Client) (_ bool, err error) {
			session, err = c.SignIn(ctx, r.tenant, &drs.SignIn{
				Certificate: device.Certificate, DeviceKey: r.device.dk, TransportKey: r.device.tk, Username: alice, Password: password,
			})
			return session == nil, err
		}},
		{"AccessToken", func(ctx context.Context, c *drs.Client) (bool, error) {
			access, err := c.AccessToken(ctx, r.tenant, session, &drs.AccessRequest{Resource: drstest.ManagementResource})
			return access == nil, err
		}},
		{"Cookie", func(ctx context.Context, c *drs.Client) (bool, error) {
			cookie, err := c.Cookie(ctx, r.tenant, session, nil)
			return cookie == "", err
		}},
		{"Renew", func(ctx context.Context, c *drs.Client) (bool, error) {
			renewed, err := c.Renew(ctx, r.tenant, session)
			return renewed == nil, err
		}},
		{"Leave", func(ctx context.Context, c *drs.Client) (bool, error) {
			err := c.Leave(ctx, r.tenant, device, r.device.dk)
			if errors.Is(err, drs.ErrGone) {
				err = nil // a request whose answer was lost was carried out
			}
			return true, err
		}},
	} {
		r.cancelEverywhere(call.name, call.do)
	}
}

// cancelEverywhere makes a call with a canceler for each answer, and at last without.
func (r *rig) cancelEverywhere(name string, do func(context.Context, *drs.Client) (bool, error)) {
	r.t.Helper()
	for answer := 0; ; answer++ {
		for _, at := range []int{0, 1, 100, 1 << 30} {
			ctx, cancel := context.WithCancel(r.t.Context())
			c := &canceler{next: r, cancel: cancel, answer: answer, at: at}
			own := *r.client
			own.HTTPClient = &http.Client{Transport: c}
			own.MutualTLS = func(config *tls.Config) http.RoundTripper {
				c.next = r.client.MutualTLS(config)
				return c
			}
			start := time.Now()
			empty, err := do(ctx, &own)
			cancel()
			if d := time.Since(start); d > 20*time.Second {
				r.t.Fatalf("%s: answer %d, %d bytes: ended after %v", name, answer, at, d)
			}
			switch {
			case c.seen <= answer: // there is no such answer
				if answer == 0 || err != nil {
					r.t.Fatalf("%s after %d answers: %v", name, answer, err)
				}
				return
			case !errors.Is(err, context.Canceled) || !empty || c.seen > answer+1:
				r.t.Errorf("%s: answer %d, %d bytes: %v, nothing came back: %t, %d requests", name, answer, at, err, empty, c.seen)
			}
		}
	}
}
