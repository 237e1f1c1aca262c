package wire_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/whiteglove/whiteglove/internal/wire"
)

// A drip is a server that answers after a pause, then sends a byte at a time.
type drip struct {
	answer, pause time.Duration
	length        int
}

func (d drip) RoundTrip(req *http.Request) (*http.Response, error) {
	select {
	case <-time.After(d.answer):
	case <-req.Context().Done():
		return nil, req.Context().Err()
	}
	return &http.Response{StatusCode: http.StatusOK, Header: http.Header{}, Body: io.NopCloser(&dripping{drip: d, ctx: req.Context()})}, nil
}

type dripping struct {
	drip
	ctx context.Context
}

func (d *dripping) Read(p []byte) (int, error) {
	if d.length == 0 {
		return 0, io.EOF
	}
	select {
	case <-time.After(d.pause):
	case <-d.ctx.Done():
		return 0, d.ctx.Err()
	}
	d.length--
	p[0] = 'x'
	return 1, nil
}

// Nothing that a server does holds a caller whose context has no deadline. The
// caller's own Timeout and context come first.
func TestSlow(t *testing.T) {
	for _, c := range []struct {
		name    string
		server  drip
		timeout time.Duration // of the client
		ctx     time.Duration // of the context; 0 is none
		most    time.Duration
		slow    bool
		failed  bool
	}{
		{"no answer", drip{answer: 24 * time.Hour}, 0, 0, 2 * time.Minute, true, true},
		{"a byte in 200 ms", drip{pause: 200 * time.Millisecond, length: 60000}, 0, 0, 16 * time.Second, true, true},
		{"stalled in the body", drip{pause: time.Hour, length: 1}, 0, 0, 2 * time.Minute, true, true},
		{"fast enough", drip{pause: time.Millisecond, length: 60000}, 0, 0, time.Minute, false, false},
		{"slow but short", drip{answer: time.Minute, pause: time.Second, length: 10}, 0, 0, 71 * time.Second, false, false},
		{"the caller waits longer", drip{answer: time.Hour, pause: time.Second, length: 100}, 2 * time.Hour, 0, 61 * time.Minute * 2, false, false},
		{"the caller's Timeout", drip{answer: time.Hour}, time.Second, 0, time.Second, false, true},
		{"the caller's context", drip{answer: time.Hour}, 0, time.Second, time.Second, false, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx := t.Context()
				if c.ctx != 0 {
					var cancel context.CancelFunc
					ctx, cancel = context.WithTimeout(ctx, c.ctx)
					defer cancel()
				}
				req, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://slow.test/?secret=1", nil)
				if err != nil {
					t.Fatal(err)
				}
				start := time.Now()
				_, err = wire.Do(&http.Client{Transport: c.server, Timeout: c.timeout}, req, 1<<20)
				if took := time.Since(start); took > c.most {
					t.Errorf("took %v", took)
				}
				if (err != nil) != c.failed || err != nil && strings.Contains(err.Error(), "secret") || errors.Is(err, wire.ErrSlow) != c.slow {
					t.Errorf("%v", err)
				}
				if c.slow && (!wire.Retryable(err) || wire.HRESULT(err) != 0x80072EE2) {
					t.Errorf("%v: retryable %t, %#x", err, wire.Retryable(err), wire.HRESULT(err))
				}
				if (c.ctx != 0) != errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("of the context: %v", err)
				}
			})
		})
	}
}
