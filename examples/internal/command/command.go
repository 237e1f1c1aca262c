// Package command is the frame of the examples: a run that can be tested, and
// ends when it is interrupted.
package command

import (
	"context"
	"io"
	"os"
	"os/signal"
	"syscall"
)

// Main calls run with the program's arguments and ends the program with the
// exit code that it returns. An interrupt ends run's context.
func Main(run func(ctx context.Context, args []string, stdout, stderr io.Writer) int) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}
