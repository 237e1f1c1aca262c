package command

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

// An Interrupted is the cause of a context that ended because the process got a
// signal.
type Interrupted struct{ Signal syscall.Signal }

// Error returns "interrupted" or "terminated".
func (e *Interrupted) Error() string {
	if e.Signal == syscall.SIGTERM {
		return "terminated"
	}
	return "interrupted"
}

// Unwrap returns context.Canceled, because net/http may return the cause of a context in
// place of that.
func (e *Interrupted) Unwrap() error { return context.Canceled }

// code returns the exit code that shells expect after the signal: 130 or 143.
func (e *Interrupted) code() int { return 128 + int(e.Signal) }

// untilSignal returns a context that ends with the first interrupt or SIGTERM. The
// second one ends the process.
func untilSignal() (ctx context.Context, stop func()) {
	ctx, cancel := context.WithCancelCause(context.Background())
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	go func() {
		select {
		case <-ctx.Done():
		case s := <-signals:
			signal.Stop(signals)
			number, _ := s.(syscall.Signal)
			cancel(&Interrupted{number})
		}
	}()
	return ctx, func() {
		signal.Stop(signals)
		cancel(nil)
	}
}
