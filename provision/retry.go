package provision

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"
)

// A Backoff returns the pause before the n-th retry of a step that failed with
// a retryable err, or 0 to give up. n starts at 1. Steps that run side by side
// may ask at the same time.
type Backoff func(step Step, n int, err error) time.Duration

// Bounds of DefaultBackoff.
const (
	firstPause   = time.Second
	longestPause = time.Minute
	longestWait  = 10 * time.Minute // that a server may ask for
	tries        = 5
	aikTries     = 10 // what Windows' own scripts give the attestation CA
)

// DefaultBackoff tries each step five times, the certification of the
// attestation key ten times. The pause doubles from a second to a minute, less
// up to half of it at random; a server that asks for a longer one has it, up to
// ten minutes.
func DefaultBackoff(step Step, n int, err error) time.Duration {
	most := tries
	if step == StepAIK {
		most = aikTries
	}
	if n >= most {
		return 0
	}
	pause := longestPause
	if n < 7 {
		pause = min(pause, firstPause<<(n-1))
	}
	pause -= rand.N(pause/2 + 1)
	asked := retryAfter(err)
	if asked > longestWait {
		return 0
	}
	return max(pause, asked)
}

// retryAfter returns the pause that a server asked for, or 0.
func retryAfter(err error) time.Duration {
	for {
		var asked interface {
			error
			RetryDelay() time.Duration
		}
		if !errors.As(err, &asked) {
			return 0
		}
		if d := asked.RetryDelay(); d > 0 {
			return d
		}
		err = errors.Unwrap(asked)
	}
}

// try takes a stage until it is done, its error is final or its tries are used
// up.
func (r *Run) try(ctx context.Context, s stage) error {
	for n := 1; ; n++ {
		ev := r.attempt(ctx, s, n)
		if ev.Status != Retrying {
			return ev.Err
		}
		if err := pause(ctx, ev.Wait); err != nil {
			return err
		}
	}
}

// attempt takes a stage for the n-th time, and returns the event of its end.
func (r *Run) attempt(ctx context.Context, s stage, n int) Event {
	p := r.Provisioner
	ev := Event{Time: p.Now(), Step: s.step, Status: Started, Attempt: n}
	r.observe(ev)
	start := ev.Time
	resumed, err := s.do(ctx, r)
	if err == nil && s.won != nil && !s.won(r) {
		err = errors.New("the function in Provisioner.Do has not set all that the step is for; see Run and State")
	}
	ev.Time, ev.Status, ev.Err = p.Now(), Done, err
	ev.Elapsed = ev.Time.Sub(start)
	switch {
	case err == nil && resumed:
		ev.Status = Resumed
	case err == nil:
	case context.Cause(ctx) == errStopped && errors.Is(err, context.Canceled):
		ev.Status = Stopped
	default:
		ev.Status = Failed
		if e := (&Error{Step: s.step, Err: err}); e.Retryable() && ctx.Err() == nil {
			ev.Wait = p.Backoff(s.step, n, err)
		}
		if ev.Wait > 0 {
			ev.Status = Retrying
		}
	}
	r.observe(ev)
	return ev
}

// observe tells of an event, with the warnings that came up since the last one.
func (r *Run) observe(ev Event) {
	r.debug("step", "step", ev.Step, "status", ev.Status, "elapsed", ev.Elapsed, "err", ev.Err)
	r.mu.Lock()
	defer r.mu.Unlock()
	ev.Warnings = r.warnings[ev.Step]
	delete(r.warnings, ev.Step)
	if r.Provisioner.Observe != nil {
		r.Provisioner.Observe(ev)
	}
}

func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}
