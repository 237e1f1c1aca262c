package attest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"
)

// How long a command is waited for after it was sent.
const (
	keyTime     = 15 * time.Second // if ctx has ended, for a command that makes a key, an object or a session
	commandTime = 5 * time.Second  // if ctx has ended, for any other command
	lastTime    = time.Second      // in any case after ctx has ended
	longest     = 6 * time.Minute  // in any case: Linux gives up a command after five minutes
	closeTime   = 3 * time.Second  // that closing a transport may take while a command is running
)

// A noAnswer is the type of ErrNoAnswer.
type noAnswer struct{}

// Error returns what ErrNoAnswer says.
func (noAnswer) Error() string { return "the TPM does not answer" }

// Timeout returns true, as the errors of package net do when a time limit has ended.
func (noAnswer) Timeout() bool { return true }

// A silence is the error of a command that the TPM did not answer, or of a later one,
// which is not sent any more.
type silence struct {
	command string        // that the TPM did not answer
	waited  time.Duration // how long it was waited for
	later   bool          // whether this is the error of a later command
	cause   error         // the error of ctx, or nil
}

// Error returns what did not happen.
func (s *silence) Error() string {
	text := fmt.Sprintf("the TPM has not answered for %.0f s", s.waited.Seconds())
	if s.later {
		text = fmt.Sprintf("not sent, because the TPM did not answer %s within %.0f s", s.command, s.waited.Seconds())
	}
	if s.cause != nil {
		text += ": " + s.cause.Error()
	}
	return text
}

// Unwrap returns ErrNoAnswer and the error of ctx if there is one.
func (s *silence) Unwrap() []error {
	if s.cause == nil {
		return []error{ErrNoAnswer}
	}
	return []error{ErrNoAnswer, s.cause}
}

// again returns the error of a later command.
func (s *silence) again() error { return &silence{s.command, s.waited, true, nil} }

// grace returns how long a command may take from when it was sent if its ctx has ended
// meanwhile. A TPM that works answers within that time, so that what the command made
// can be flushed.
func grace(name string) time.Duration {
	if name == "TPM2_Create" || makesHandle(name) {
		return keyTime
	}
	return commandTime
}

// An answer is what a transport returned.
type answer struct {
	rsp []byte
	err error
}

// pass sends a command to the transport once, with the context if it takes one. It
// gives up the transport if no answer comes.
func (p *port) pass(command []byte) ([]byte, error) {
	start := time.Now()
	done := make(chan answer, 1) // an answer that comes too late stays there
	go func() {
		a := answer{err: errors.New("the transport ended its goroutine")}
		defer func() {
			if v := recover(); v != nil {
				a.err = fmt.Errorf("%w: %v", errAnswer, v)
			}
			done <- a
		}()
		a.rsp, a.err = p.transmit(command)
	}()
	limit := time.NewTimer(longest)
	defer limit.Stop()
	select {
	case a := <-done:
		return a.rsp, a.err
	case <-limit.C:
	case <-p.ctx.Done():
		limit.Reset(max(lastTime, grace(p.name)-time.Since(start)))
		select {
		case a := <-done:
			return a.rsp, a.err
		case <-limit.C:
		}
	}
	p.tpm.silence = &silence{command: p.name, waited: time.Since(start), cause: p.ctx.Err()}
	return nil, p.tpm.silence
}

// transmit passes a command to the transport, with the context if it takes one.
func (p *port) transmit(command []byte) ([]byte, error) {
	if tr, ok := p.tpm.Transport.(interface {
		SendContext(ctx context.Context, command []byte) ([]byte, error)
	}); ok {
		return tr.SendContext(p.ctx, command)
	}
	return p.tpm.Transport.Send(command)
}

// closeSilent closes a transport in which a command may be running, but does not wait
// long for that.
func closeSilent(c io.Closer) error {
	done := make(chan error, 1)
	go func() { done <- c.Close() }()
	select {
	case err := <-done:
		return err
	case <-time.After(closeTime):
		return nil // the command's error says why
	}
}
