// Package command is the frame that the examples share: it parses flags, ends a
// run on a signal or after a time limit, prints errors and chooses the exit
// code. It also has what several examples do with files, JSON and HTTP, so that
// each example shows only its own subject.
//
// It imports next to nothing but the standard library and package diagnose, which
// imports none of the clients, so that an example compiles no more of the SDK than it
// shows.
package command

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"time"
)

// A Command is a program with flags. It exits with 0 if Do returns nil, with 2
// if it was called wrongly, with 130 or 143 after an interrupt or SIGTERM, and
// otherwise with 1 or the code of an [ExitError].
type Command struct {
	// Name is the program's name. Messages on stderr begin with it.
	Name string

	// About says what the program does, in a sentence that begins with its name, and
	// whole sentences after that. Help begins with it.
	About string

	// Usage has the forms of the command line, each on a line that begins with the
	// name. If it is empty, that is the name with "[FLAGS]".
	Usage string

	// Status explains the exit codes. Help prints it before the flags.
	Status string

	// Args permits arguments after the flags. The first of them may be a
	// negative number: it is not taken for a flag.
	Args bool

	// Timeout is the default of the flag -timeout, which limits the time that
	// Do has. If it is zero, there is no such flag and no limit.
	Timeout time.Duration

	// Flags declares the flags. The command adds -timeout.
	Flags func(f *flag.FlagSet)

	// Check, if not nil, is called with the parsed flags. Its error ends the
	// program with 2.
	Check func(f *flag.FlagSet) error

	// Do is what the program does. Its context ends with the first signal or
	// when the time is up.
	Do func(ctx context.Context, stdout, stderr io.Writer) error

	// Hint, if not nil, returns a sentence that follows what [Explain] says of an
	// error, such as the flag that may help, or "".
	Hint func(err error) string

	roots string // of the flag -roots, if there is one

	// Resume tells how to continue after an interrupt. If it is nil or returns "",
	// nothing is told.
	Resume func() string
}

// An ExitError ends a program with a code of its own.
type ExitError struct {
	Code int
	Err  error // printed on stderr; if nil, nothing is
}

// Error returns the text of e.Err or, if that is nil, the code.
func (e *ExitError) Error() string {
	if e.Err == nil {
		return fmt.Sprintf("exit status %d", e.Code)
	}
	return e.Err.Error()
}

// Unwrap returns e.Err.
func (e *ExitError) Unwrap() error { return e.Err }

// Main runs c with the arguments of the process and ends the process. The
// context of c.Do ends with an interrupt or SIGTERM.
func Main(c *Command) {
	ctx, stop := untilSignal(c.Name, os.Stderr)
	code := c.Run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// Run runs c with args, the arguments without the program's name, and returns
// the exit code.
func (c *Command) Run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	timeout, err := c.parse(args, stderr)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case err != nil:
		return 2
	}
	if timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, timeout)
		defer cancel()
	}
	err = c.Do(ctx, stdout, stderr)
	var signal *Interrupted
	switch {
	case err == nil:
		return 0
	case errors.As(context.Cause(ctx), &signal) && errors.Is(err, context.Canceled):
		return c.interrupted(signal, stderr)
	}
	if timeout > 0 && errors.Is(ctx.Err(), context.DeadlineExceeded) && errors.Is(err, context.DeadlineExceeded) {
		err = &overdue{err, timeout}
	}
	return c.fail(err, stderr)
}

// interrupted says that a signal ended the program, and returns the exit code.
func (c *Command) interrupted(signal *Interrupted, stderr io.Writer) int {
	how := ""
	if c.Resume != nil && c.Resume() != "" {
		how = "; " + c.Resume()
	}
	fmt.Fprintf(stderr, "%s: %v%s\n", c.Name, signal, how)
	return signal.code()
}

// fail prints an error of c.Do and returns the exit code.
func (c *Command) fail(err error, stderr io.Writer) int {
	code := 1
	var exit *ExitError
	if errors.As(err, &exit) {
		if code = exit.Code; exit.Err == nil {
			return code
		}
	}
	hint := ""
	if c.Hint != nil {
		hint = c.Hint(err)
	}
	fmt.Fprintf(stderr, "%s: %s\n", c.Name, Explain(err, rootsHint(err, c.roots), hint))
	return code
}
