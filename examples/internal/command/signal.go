package command

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"
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

// hurry is how long a program may take to end after a signal before it says that a second
// one ends it at once.
const hurry = 2 * time.Second

// untilSignal returns a context that ends with the first interrupt or SIGTERM. The
// second one ends the process; stderr is told so if the program is still running after a
// while.
func untilSignal(name string, stderr io.Writer) (ctx context.Context, stop func()) {
	ctx, cancel := context.WithCancelCause(context.Background())
	signals, stopped := make(chan os.Signal, 1), make(chan struct{})
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	go func() {
		select {
		case <-stopped:
			return
		case s := <-signals:
			signal.Stop(signals)
			number, _ := s.(syscall.Signal)
			cancel(&Interrupted{number})
		}
		select {
		case <-stopped:
		case <-time.After(hurry):
			fmt.Fprintf(stderr, "%s: waiting for an answer to end in order; press Ctrl-C again to end at once\n", name)
		}
	}()
	return ctx, func() {
		signal.Stop(signals)
		close(stopped)
		cancel(nil)
	}
}
