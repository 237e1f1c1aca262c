package provision_test

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-tpm/tpm2/transport"

	"github.com/whiteglove/whiteglove/attest"
	"github.com/whiteglove/whiteglove/attest/attesttest"
	"github.com/whiteglove/whiteglove/drs"
	"github.com/whiteglove/whiteglove/provision"
)

func TestDefaultBackoff(t *testing.T) {
	plain := errors.New("x")
	asked := func(d time.Duration) error { return fmt.Errorf("y: %w", &drs.Error{RetryAfter: d}) }
	for _, c := range []struct {
		step     provision.Step
		n        int
		err      error
		min, max time.Duration
	}{
		{provision.StepJoin, 1, plain, 500 * time.Millisecond, time.Second},
		{provision.StepJoin, 4, plain, 4 * time.Second, 8 * time.Second},
		{provision.StepJoin, 5, plain, 0, 0},
		{provision.StepAIK, 9, plain, 30 * time.Second, time.Minute},
		{provision.StepAIK, 10, plain, 0, 0},
		{provision.StepToken, 1, asked(5 * time.Minute), 5 * time.Minute, 5 * time.Minute},
		{provision.StepToken, 1, asked(time.Hour), 0, 0},
	} {
		for range 20 {
			if got := provision.DefaultBackoff(c.step, c.n, c.err); got < c.min || got > c.max {
				t.Errorf("%s, retry %d after %v: %v, want %v to %v", c.step, c.n, c.err, got, c.min, c.max)
			}
		}
	}
}

// busy answers the first requests to a path as a service under load does.
type busy struct {
	http.RoundTripper
	path  string
	reply string // body
	after string // Retry-After; "2" if empty

	mu   sync.Mutex
	left int
}

func (b *busy) RoundTrip(req *http.Request) (*http.Response, error) {
	if !strings.Contains(req.URL.Path, b.path) || !b.take() {
		return b.RoundTripper.RoundTrip(req)
	}
	return &http.Response{
		Status: "503 Service Unavailable", StatusCode: http.StatusServiceUnavailable, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: http.Header{"Retry-After": {cmp.Or(b.after, "2")}}, Body: io.NopCloser(bytes.NewReader([]byte(b.reply))), Request: req,
	}, nil
}

// take reports whether a request is one of the first.
func (b *busy) take() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.left--
	return b.left >= 0
}

// A step that may succeed later is tried again, after the pause that the
// caller's Backoff says; others are not.
func TestRetry(t *testing.T) {
	for _, path := range []string{"/Discover", "/tpmchallenge/", "/device/", "/aik/", "/oauth2/token", "/Enrollment.svc"} {
		t.Run(path, func(t *testing.T) {
			w := newWorld(t, nil)
			tpm, _ := newTPM(t, attesttest.Config{})
			w.admit(t, tpm)
			p := w.provisioner(tpm)
			c := *w.Client()
			c.Transport = &busy{RoundTripper: c.Transport, path: path, left: 2}
			p.HTTPClient = &c
			var asked []int
			p.Backoff = func(_ provision.Step, n int, _ error) time.Duration {
				asked = append(asked, n)
				return time.Millisecond
			}
			retried := 0
			p.Observe = func(ev provision.Event) {
				if ev.Status == provision.Retrying && ev.Wait == time.Millisecond && ev.Err != nil {
					retried++
				}
			}
			state, err := p.Run(t.Context())
			if err != nil || retried != 2 || !slices.Equal(asked, []int{1, 2}) {
				t.Fatalf("%v after %d retries, asked %v", err, retried, asked)
			}
			checkEnrolled(t, w, state)
		})
	}
}

func TestNoRetryOfFinalErrors(t *testing.T) {
	w := newWorld(t, nil)
	err := runWith(t, w, false, func(p *provision.Provisioner) { // nobody is imported
		p.Backoff = func(step provision.Step, _ int, err error) time.Duration {
			t.Errorf("asked to try %s again after %v", step, err)
			return 0
		}
	})
	if err == nil {
		t.Fatal("enrolled all the same")
	}
}

// A run that ends during a pause says so of the step, too. It does not begin a pause that
// a server asks for if that is longer than the time that is left.
func TestPauseAtLimit(t *testing.T) {
	for name, after := range map[string]string{"pause": "", "asked": "300", "asked too much": "86400"} {
		w := newWorld(t, nil)
		tpm, _ := newTPM(t, attesttest.Config{})
		w.admit(t, tpm)
		p := w.provisioner(tpm)
		c := *w.Client()
		c.Transport = &busy{RoundTripper: c.Transport, path: "/Discover", left: 99, after: after}
		p.HTTPClient, p.Steps = &c, []provision.Step{provision.StepEK, provision.StepDiscover}
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		defer cancel()
		if after == "" {
			p.Backoff = func(provision.Step, int, error) time.Duration {
				time.AfterFunc(10*time.Millisecond, cancel)
				return time.Hour
			}
		}
		var statuses []provision.Status
		var last provision.Event
		p.Observe = func(ev provision.Event) {
			if ev.Step == provision.StepDiscover {
				statuses, last = append(statuses, ev.Status), ev
			}
		}
		start := time.Now()
		_, err := p.Run(ctx)
		want := []provision.Status{provision.Started, provision.Failed}
		if after == "" {
			want = []provision.Status{provision.Started, provision.Retrying, provision.Stopped} // the caller canceled it
		}
		var refused *drs.Error
		if !slices.Equal(statuses, want) || !errors.As(err, &refused) || last.Err == nil || last.Attempt != 1 || last.Wait != 0 || time.Since(start) > 20*time.Second {
			t.Errorf("%s: %v, %v after %v", name, statuses, err, time.Since(start))
		}
		if (after == "") != errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// The pause is the one of the backoff, in the time of the clock.
func TestPause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		if err := provision.Pause(t.Context(), time.Hour); err != nil || time.Since(start) != time.Hour {
			t.Errorf("%v after %v", err, time.Since(start))
		}
	})
}

func TestLock(t *testing.T) {
	w := newWorld(t, nil)
	tpm, _ := newTPM(t, attesttest.Config{})
	store := provision.FileStore(filepath.Join(t.TempDir(), "state"))
	unlock, err := store.Lock(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	p := w.provisioner(tpm)
	p.Store = store
	if _, err := p.Run(t.Context()); !errors.Is(err, provision.ErrLocked) {
		t.Errorf("a locked store: %v", err)
	}
	if err := unlock(); err != nil {
		t.Fatal(err)
	}
	if unlock, err = store.Lock(t.Context()); err != nil {
		t.Fatalf("unlocked: %v", err)
	}
	unlock()
}

// once answers the next command with TPM_RC_LOCKOUT if it is set.
type once struct {
	transport.TPM
	refuse bool
}

func (o *once) Send(command []byte) ([]byte, error) {
	if o.refuse {
		o.refuse = false
		return []byte{0x80, 0x01, 0, 0, 0, 10, 0, 0, 0x09, 0x21}, nil
	}
	return o.TPM.Send(command)
}

// A second attempt at what an earlier run had done finds it as the first one would.
func TestResumeAgain(t *testing.T) {
	w := newWorld(t, nil)
	_, chip := newTPM(t, attesttest.Config{})
	wire := &once{TPM: chip}
	p := w.provisioner(&attest.TPM{Transport: wire})
	p.Store, p.Steps = provision.FileStore(filepath.Join(t.TempDir(), "state")), []provision.Step{provision.StepEK}
	state, err := p.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	wire.refuse = true
	p.Backoff = func(provision.Step, int, error) time.Duration { return time.Millisecond }
	p.Steps = []provision.Step{provision.StepAIK}
	seen := errors.New("seen")
	p.Do = map[provision.Step]func(context.Context, *provision.Run) (bool, error){
		provision.StepAIK: func(_ context.Context, r *provision.Run) (bool, error) {
			if len(r.EKChain) != len(state.EKCertificates) {
				t.Errorf("%d certificates, stored are %d", len(r.EKChain), len(state.EKCertificates))
			}
			return false, seen
		},
	}
	got := events(p)
	if _, err := p.Run(t.Context()); !errors.Is(err, seen) || !slices.Contains(*got, "retrying ek") {
		t.Errorf("%v after %q", err, *got)
	}
}
