package aik

import (
	"context"
	"errors"
	"fmt"
	"sync"
)

// inParallel runs two steps at once and returns when both have ended. If one fails,
// the context of the other is canceled. The error is that of the step that failed
// first. The text of the other's error is added, unless it only says that the step was
// canceled.
func inParallel(ctx context.Context, one, other func(context.Context) *Error) *Error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	ended := make(chan *Error, 2)
	run := func(step func(context.Context) *Error) {
		e := step(ctx)
		ended <- e // before the other step can be canceled
		if e != nil {
			stop()
		}
	}
	var wg sync.WaitGroup
	wg.Go(func() { run(one) })
	run(other)
	wg.Wait()
	first, last := <-ended, <-ended
	switch {
	case first == nil:
		return last
	case last != nil && !errors.Is(last, ctx.Err()):
		return failed(first.Op, fmt.Errorf("%w; %w", first.Err, last))
	}
	return first
}
