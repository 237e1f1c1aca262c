package command

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"testing"
)

// waiting is a command that works until it is told to end.
func waiting() *Command {
	return &Command{
		Name: "name", Flags: func(*flag.FlagSet) {}, Resume: func() string { return "run it again" },
		Do: func(ctx context.Context, stdout, _ io.Writer) error {
			fmt.Fprintln(stdout, "waiting")
			<-ctx.Done()
			return fmt.Errorf("step: %w", ctx.Err())
		},
	}
}

// TestMain turns the test program into a command if it is called as such.
func TestMain(m *testing.M) {
	if os.Getenv("COMMAND_WAITS") != "" {
		Main(waiting())
	}
	os.Exit(m.Run())
}

// The cause of the context counts as its end, as in an error of net/http.
func TestSignalCause(t *testing.T) {
	c := waiting()
	c.Do = func(ctx context.Context, _, _ io.Writer) error { return fmt.Errorf("request: %w", context.Cause(ctx)) }
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(&Interrupted{syscall.SIGINT})
	var errs bytes.Buffer
	if code := c.Run(ctx, nil, io.Discard, &errs); code != 130 || errs.String() != "name: interrupted; run it again\n" {
		t.Errorf("code %d: %s", code, errs.String())
	}
}

// A silence is an error of a wait that a signal ended.
type silence struct{ error }

func (silence) Timeout() bool { return true }

// A program that waited for an answer when a signal came says only that it was
// interrupted: nothing is wrong with what it waited for.
func TestSignalSilence(t *testing.T) {
	c := waiting()
	c.Do = func(ctx context.Context, _, _ io.Writer) error {
		return fmt.Errorf("%w: %w", silence{errors.New("the TPM has not answered")}, ctx.Err())
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(&Interrupted{syscall.SIGINT})
	var errs bytes.Buffer
	if code := c.Run(ctx, nil, io.Discard, &errs); code != 130 || errs.String() != "name: interrupted; run it again\n" {
		t.Errorf("code %d: %s", code, errs.String())
	}
}

// A program that does not end soon after a signal says that a second one ends it at once.
func TestSecondSignal(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("a process cannot send itself these signals")
	}
	r, w := io.Pipe()
	ctx, stop := untilSignal("name", w)
	defer stop()
	own, err := os.FindProcess(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	if err := own.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	<-ctx.Done()
	line, err := bufio.NewReader(r).ReadString('\n')
	if err != nil || !strings.HasPrefix(line, "name: ") || !strings.HasSuffix(line, "press Ctrl-C again to end at once\n") {
		t.Errorf("%q, %v", line, err)
	}
}

// A signal ends a program in order, with the exit code that shells expect.
func TestSignal(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("a process cannot send itself these signals")
	}
	for signal, want := range map[syscall.Signal]struct {
		code int
		text string
	}{
		syscall.SIGINT:  {130, "name: interrupted; run it again\n"},
		syscall.SIGTERM: {143, "name: terminated; run it again\n"},
	} {
		c := exec.CommandContext(t.Context(), os.Args[0])
		c.Env = append(os.Environ(), "COMMAND_WAITS=1")
		var errs bytes.Buffer
		c.Stderr = &errs
		out, err := c.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(out, make([]byte, len("waiting"))); err != nil {
			t.Fatal(err)
		}
		if err := c.Process.Signal(signal); err != nil {
			t.Fatal(err)
		}
		_ = c.Wait() // the code tells more than the error
		if code := c.ProcessState.ExitCode(); code != want.code || errs.String() != want.text {
			t.Errorf("%v: exit code %d, %q", signal, code, errs.String())
		}
	}
}

// A program that ends for another reason after a signal says that reason.
func TestOtherEnd(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(&Interrupted{syscall.SIGINT})
	c := waiting()
	c.Do = func(context.Context, io.Writer, io.Writer) error { return io.ErrUnexpectedEOF }
	var errs bytes.Buffer
	if code := c.Run(ctx, nil, io.Discard, &errs); code != 1 || !strings.Contains(errs.String(), "name: it ends too early") {
		t.Errorf("exit code %d, %q", code, errs.String())
	}
}
