package provision

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/whiteglove/whiteglove/internal/misuse"
)

// Bounds of DefaultBackoff.
const (
	firstPause   = time.Second
	longestPause = time.Minute
	longestWait  = 10 * time.Minute // the longest pause that a server may ask for
	tries        = 5
	aikTries     = 10 // as many as Windows' own scripts make
)

// DefaultBackoff is the usual Provisioner.Backoff. It lets StepAIK be tried ten
// times and every other step five times. Pauses double from a second to at most
// a minute, and each is shortened at random by up to a half. If a server asks for
// a longer pause (Retry-After), that is the pause; if it asks for more than ten
// minutes, DefaultBackoff gives up. It is safe for concurrent use.
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

// retryAfter returns the pause that a server asked for, or 0 if no error in the
// chain knows of one.
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

// try takes a stage until it succeeds, fails for good or has used up its
// attempts.
func (r *Run) try(ctx context.Context, s stage) error {
	var last error // of the attempt before
	for n := 1; ; n++ {
		ev := r.attempt(ctx, s, n)
		if ev.Status != Retrying {
			return because(ctx, last, ev.Err)
		}
		last = ev.Err
		if err := pause(ctx, ev.Wait); err != nil {
			ev.Time, ev.Wait, ev.Err = r.Provisioner.Now(), 0, because(ctx, last, err)
			ev.Status = ended(ctx, err)
			r.observe(ev)
			return ev.Err
		}
	}
}

// because returns err, with which a step ended. If ctx has ended, it puts the error
// of the attempt before in front, which is why the time did not suffice.
func because(ctx context.Context, last, err error) error {
	if last == nil || err == nil || ctx.Err() == nil {
		return err
	}
	return fmt.Errorf("%w; then the run ended: %w", last, err)
}

// attempt takes a stage for the n-th time. It returns the event that ended the
// attempt.
func (r *Run) attempt(ctx context.Context, s stage, n int) Event {
	p := r.Provisioner
	ev := Event{Time: p.Now(), Step: s.step, Status: Started, Attempt: n}
	r.observe(ev)
	start := ev.Time
	resumed, err := s.do(ctx, r)
	if own := fmt.Sprintf("Provisioner.Do[%q]", s.step); p.Do[s.step] != nil {
		err = misuse.Of(own, err)
		if err == nil && s.present != nil && !s.present(r) {
			err = misuse.Returned(own, "without all results of the step; see Run and State")
		}
	}
	if err == nil && s.step == StepDiscover {
		err = r.checkTenant()
	}
	ev.Time, ev.Status, ev.Err = p.Now(), Done, err
	ev.Elapsed = ev.Time.Sub(start)
	switch {
	case err == nil && resumed:
		ev.Status = Resumed
	case err == nil:
	default:
		ev.Status = ended(ctx, err)
		if e := (&Error{Step: s.step, Err: err}); e.Retryable() && ctx.Err() == nil && !late(ctx, retryAfter(err)) {
			ev.Wait = p.Backoff(s.step, n, err)
		}
		if ev.Wait > 0 {
			ev.Status = Retrying
		}
	}
	r.observe(ev)
	return ev
}

// ended returns the status of a step that err ended.
func ended(ctx context.Context, err error) Status {
	if errors.Is(ctx.Err(), context.Canceled) && errors.Is(err, context.Canceled) {
		return Stopped
	}
	return Failed
}

// late reports whether a pause that a server asks for, or 0, is longer than the time
// that is left. Then there is nothing to wait for.
func late(ctx context.Context, asked time.Duration) bool {
	deadline, limited := ctx.Deadline()
	return limited && asked > time.Until(deadline)
}

// observe reports an event, with the warnings that came up since the step's last
// event.
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

// pause waits for d. The error is that of ctx if it ends first.
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
