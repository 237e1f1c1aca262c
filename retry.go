package whiteglove

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"github.com/whiteglove/whiteglove/drs"
	"github.com/whiteglove/whiteglove/mdm"
	"github.com/whiteglove/whiteglove/scep"
)

// A Backoff returns the pause before the n-th retry of a step that failed with
// a retryable err, or 0 to give up. n starts at 1.
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
	var (
		s *scep.Error
		d *drs.Error
		m *mdm.Error
	)
	switch {
	case errors.As(err, &d):
		return d.RetryAfter
	case errors.As(err, &m):
		return m.RetryAfter
	case errors.As(err, &s):
		return s.RetryAfter
	}
	return 0
}

// try does a step until it is done, its error is final or its tries are used
// up.
func (r *run) try(ctx context.Context, step Step, do func(context.Context) (bool, error)) (resumed bool, err error) {
	for n := 1; ; n++ {
		start := r.Now()
		r.observe(Event{Time: start, Step: step, Status: Started, Attempt: n})
		resumed, err = do(ctx)
		if err == nil && !resumed {
			err = r.save(ctx)
		}
		ev := Event{Time: r.Now(), Step: step, Status: Done, Attempt: n, Err: err}
		ev.Elapsed = ev.Time.Sub(start)
		if err != nil {
			ev.Status = Failed
			if e := (&Error{Step: step, Err: err}); e.Retryable() && ctx.Err() == nil {
				ev.Wait = r.Backoff(step, n, err)
			}
			if ev.Wait > 0 {
				ev.Status = Retrying
			}
		} else if resumed {
			ev.Status = Resumed
		}
		r.observe(ev)
		if ev.Status != Retrying {
			return resumed, err
		}
		if err := pause(ctx, ev.Wait); err != nil {
			return false, err
		}
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
