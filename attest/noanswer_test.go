package attest_test

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-tpm/tpm2"
	"github.com/google/go-tpm/tpm2/transport"

	"github.com/whiteglove/whiteglove/attest"
	"github.com/whiteglove/whiteglove/attest/attesttest"
)

// A mute transport answers a number of commands, and the next one only when it is woken
// or closed. If late is true, it then runs that command.
type mute struct {
	tpm     transport.TPM
	answers int
	late    bool
	wake    chan struct{}

	mu     sync.Mutex // guards answers and what follows
	sent   int        // commands that came after the one that is not answered
	closed int
}

func (m *mute) Send(command []byte) ([]byte, error) {
	m.mu.Lock()
	m.answers--
	left := m.answers
	if left < -1 {
		m.sent++
	}
	m.mu.Unlock()
	switch {
	case left >= 0:
		return m.tpm.Send(command)
	case left < -1:
		return nil, errors.New("a command after the one that is not answered")
	}
	<-m.wake
	if !m.late {
		return nil, errors.New("closed")
	}
	m.mu.Lock()
	m.answers = 1 << 20
	m.mu.Unlock()
	return m.tpm.Send(command)
}

func (m *mute) Close() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.closed++
	close(m.wake)
	return nil
}

// seen returns how many commands may still be answered, how many came after the one that
// is not, and how often the transport was closed.
func (m *mute) seen() (left, sent, closed int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.answers, m.sent, m.closed
}

// A muteContext is a mute transport that takes contexts, and does not heed them.
type muteContext struct{ *mute }

func (m muteContext) SendContext(_ context.Context, command []byte) ([]byte, error) {
	return m.mute.Send(command)
}

// bubble runs f with a time of its own, and tells it how long since it began.
func bubble(t *testing.T, f func(t *testing.T, passed func() time.Duration)) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		f(t, func() time.Duration { return time.Since(start) })
	})
}

var notAnswered = regexp.MustCompile(`(TPM2_\w+): the TPM has not answered for (\d+) s: context`)

// A TPM that stops to answer, at whatever command, holds no method for longer than the
// documentation says. The error names the command, and nothing is sent after it.
func TestNoAnswer(t *testing.T) {
	for _, state := range []string{"ready", "fresh"} {
		r := newWholeRun(t, state)
		for _, s := range r.stages() {
			t.Run(state+"/"+s.name, func(t *testing.T) {
				t.Parallel()
				for n := 0; silentAt(t, r, s, n); n++ {
				}
			})
		}
	}
}

// silentAt runs a stage with a TPM that does not answer command n, and reports whether
// the stage has that many.
func silentAt(t *testing.T, r *wholeRun, s stage, n int) (more bool) {
	m := &mute{tpm: r.tpm(t), answers: n}
	bubble(t, func(t *testing.T, passed func() time.Duration) {
		m.wake = make(chan struct{})
		var tr transport.TPM = m
		if n%2 == 1 {
			tr = muteContext{m}
		}
		tpm := &attest.TPM{Transport: tr}
		release := tpm.Keep()
		ctx, cancel := context.WithTimeout(t.Context(), 4*time.Second)
		defer cancel()
		err := s.do(ctx, tpm)
		if left, _, _ := m.seen(); left >= 0 {
			close(m.wake)
			return
		}
		more = true
		took := passed()
		checkSilence(t, fmt.Sprintf("command %d", n), err, took)
		var e *attest.Error
		if _, again := tpm.Info(t.Context()); !errors.Is(again, attest.ErrNoAnswer) || errors.Is(again, context.DeadlineExceeded) || !errors.As(again, &e) {
			t.Errorf("command %d: later call: %v", n, again)
		}
		if err := errors.Join(release(t.Context()), tpm.Close()); err != nil {
			t.Errorf("command %d: Close: %v", n, err)
		}
		if _, sent, closed := m.seen(); sent > 0 || closed != 1 || passed() > took+time.Second {
			t.Errorf("command %d: %d later commands; closed %d times, in %v", n, sent, closed, passed()-took)
		}
	})
	return more
}

// checkSilence checks the error of a call that had four seconds, and how long it took.
func checkSilence(t *testing.T, name string, err error, took time.Duration) {
	t.Helper()
	if !errors.Is(err, attest.ErrNoAnswer) {
		t.Errorf("%s: %v", name, err)
		return
	}
	text := notAnswered.FindStringSubmatch(err.Error())
	limit := 5 * time.Second
	var e *attest.Error
	switch {
	case text == nil || !errors.Is(err, context.DeadlineExceeded):
		t.Errorf("%s: %v", name, err)
	case strings.Contains(text[1], "Create") || text[1] == "TPM2_Load" || text[1] == "TPM2_StartAuthSession":
		limit = 15 * time.Second
	case text[1] == "TPM2_FlushContext":
		limit = 11 * time.Second
	}
	if took > limit {
		t.Errorf("%s: %v after %v", name, err, took)
	}
	if !errors.As(err, &e) || e.HRESULT() != 0x80284006 || !strings.Contains(e.Remedy(), "off and on") || e.Retryable() {
		t.Errorf("%s: %#v", name, e)
	}
}

// An answer that comes soon after the end of the context counts: what the command made is
// flushed. Afterwards the TPM can be used.
func TestLateAnswer(t *testing.T) {
	r := newWholeRun(t, "fresh")
	for n, last := 0, false; !last; n++ {
		chip := r.tpm(t)
		bubble(t, func(t *testing.T, passed func() time.Duration) {
			m := &mute{tpm: chip, answers: n, late: true, wake: make(chan struct{})}
			tpm := &attest.TPM{Transport: m}
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			time.AfterFunc(4*time.Second, func() { close(m.wake) })
			_, err := tpm.CreateKey(ctx, attest.Template{Usage: attest.Sign})
			if last = err == nil; last {
				return // it was the last command
			}
			if !errors.Is(err, context.DeadlineExceeded) || errors.Is(err, attest.ErrNoAnswer) || passed() > 5*time.Second {
				t.Errorf("command %d: %v after %v", n, err, passed())
			}
			if _, err := tpm.Info(t.Context()); err != nil {
				t.Errorf("command %d: %v", n, err)
			}
		})
		noneLoaded(t, chip)
	}
}

// An answer that comes too late is not taken for that of another command.
func TestTooLateAnswer(t *testing.T) {
	chip := newWholeRun(t, "fresh").tpm(t)
	bubble(t, func(t *testing.T, _ func() time.Duration) {
		m := &mute{tpm: chip, late: true, wake: make(chan struct{})}
		tpm := &attest.TPM{Transport: m}
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		_, err := tpm.Info(ctx)
		if !errors.Is(err, attest.ErrNoAnswer) || !errors.Is(err, context.Canceled) {
			t.Errorf("%v", err)
		}
		close(m.wake)
		synctest.Wait()
		if _, err := tpm.Info(t.Context()); !errors.Is(err, attest.ErrNoAnswer) {
			t.Errorf("%v", err)
		}
		if left, _, _ := m.seen(); left != 1<<20 {
			t.Errorf("%d commands", 1<<20-left)
		}
		tpm = &attest.TPM{Transport: m}
		if _, err := tpm.Info(t.Context()); err != nil {
			t.Errorf("opened again: %v", err)
		}
	})
}

// Without an end of the context, a TPM is given up at last, and one that cannot be closed
// does not hold Close.
func TestNoAnswerForever(t *testing.T) {
	bubble(t, func(t *testing.T, passed func() time.Duration) {
		m := &mute{wake: make(chan struct{})}
		held := &heldOpen{m, make(chan struct{})}
		tpm := &attest.TPM{Transport: held}
		_, err := tpm.Info(context.Background())
		if !errors.Is(err, attest.ErrNoAnswer) || passed() != 6*time.Minute {
			t.Errorf("%v after %v", err, passed())
		}
		if err := tpm.Close(); err != nil || passed() > 6*time.Minute+3*time.Second {
			t.Errorf("Close: %v after %v", err, passed())
		}
		close(held.until)
	})
}

// A heldOpen transport does not close before its channel is closed.
type heldOpen struct {
	*mute
	until chan struct{}
}

func (h *heldOpen) Close() error {
	<-h.until
	return h.mute.Close()
}

// A transport that panics is one that answers nonsense, also in its own goroutine.
func TestTransportPanics(t *testing.T) {
	tpm := &attest.TPM{Transport: &teller{t: t, tell: func(context.Context, tpm2.TPMCC) error { panic("transport") }}}
	var e *attest.Error
	if _, err := tpm.Info(t.Context()); !errors.As(err, &e) || !strings.Contains(err.Error(), "malformed answer: transport") {
		t.Errorf("%v", err)
	}
	emulator, err := attesttest.New(attesttest.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer emulator.Close()
	tpm.Transport = emulator
	if _, err := tpm.Info(t.Context()); err != nil {
		t.Error(err)
	}
}
