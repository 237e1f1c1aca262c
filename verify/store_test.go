package verify_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/whiteglove/whiteglove/attest"
	"github.com/whiteglove/whiteglove/verify"
)

// TestChallengeOnce answers challenges wrongly, twice, too late, and as something else.
func TestChallengeOnce(t *testing.T) {
	ctx := t.Context()
	r := newRig(t)
	a := r.answer(t)
	_, err := r.verifier.Accept(ctx, a)
	check(t, err)
	_, err = r.verifier.Accept(ctx, a)
	fails(t, "twice", "accept", err, verify.ErrChallenge)

	a = r.answer(t)
	_, err = r.verifier.Accept(ctx, &verify.Answer{ID: a.ID, Secret: make([]byte, 32)})
	fails(t, "wrong", "accept", err, attest.ErrProof)
	_, err = r.verifier.Accept(ctx, a)
	fails(t, "right after wrong", "accept", err, verify.ErrChallenge)

	a = r.answer(t)
	r.now = r.now.Add(5 * time.Minute)
	_, err = r.verifier.Accept(ctx, a)
	fails(t, "late", "accept", err, verify.ErrChallenge)

	for name, a := range map[string]*verify.Answer{"none": nil, "empty": {}, "made up": {ID: "AAAAAAAAAAAAAAAAAAAAAA"}} {
		if _, err := r.verifier.Accept(ctx, a); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	// A request is no challenge, nor the other way round.
	d := r.enroll(t)
	e := r.evidence(t, d)
	_, err = r.verifier.Accept(ctx, &verify.Answer{ID: e.ID})
	fails(t, "request answered", "accept", err, verify.ErrChallenge)
	_, err = r.verifier.Check(ctx, d, e)
	fails(t, "used as answer", "check", err, verify.ErrChallenge)
	e = r.evidence(t, d)
	e.ID = r.answer(t).ID
	_, err = r.verifier.Check(ctx, d, e)
	fails(t, "challenge as request", "check", err, verify.ErrChallenge)
}

// TestStoreFull fills the store; room comes with time, and nothing is dropped early.
func TestStoreFull(t *testing.T) {
	r := newRig(t)
	r.verifier.Challenges = &verify.MemoryStore{Limit: 2, Now: func() time.Time { return r.now }}
	a, b := r.answer(t), r.answer(t)
	_, err := r.verifier.Challenge(t.Context(), &r.hello)
	fails(t, "full", "challenge", err, verify.ErrFull)
	var e *verify.Error
	if errors.As(err, &e) && !e.Retryable() {
		t.Error("it cannot be tried again")
	}
	_, err = r.verifier.Accept(t.Context(), a)
	check(t, err)
	_, err = r.verifier.Accept(t.Context(), b)
	check(t, err)
	r.answer(t)
	r.answer(t)
	r.now = r.now.Add(10 * time.Minute)
	r.answer(t)
}

// TestCanceled calls everything with a context that has ended. Nothing is used up.
func TestCanceled(t *testing.T) {
	r := newRig(t)
	d := r.enroll(t)
	a, e := r.answer(t), r.evidence(t, d)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	second := func(_ any, err error) error { return err }
	for op, err := range map[string]error{
		"challenge": second(r.verifier.Challenge(ctx, &r.hello)),
		"accept":    second(r.verifier.Accept(ctx, a)),
		"request":   second(r.verifier.Request(ctx, d)),
		"check":     second(r.verifier.Check(ctx, d, e)),
	} {
		var own *verify.Error
		if !errors.Is(err, context.Canceled) || !errors.As(err, &own) || own.Op != op || own.Retryable() {
			t.Errorf("%s: %v", op, err)
		}
	}
	_, err := r.verifier.Accept(t.Context(), a)
	check(t, err)
	_, err = r.verifier.Check(t.Context(), d, e)
	check(t, err)
}

// A broken store fails.
type broken struct{ err error }

func (b broken) Put(context.Context, string, []byte, time.Time) error { return b.err }
func (b broken) Take(context.Context, string) ([]byte, error)         { return []byte("{"), b.err }

// TestBrokenStore has a store that fails, or returns something else.
func TestBrokenStore(t *testing.T) {
	r := newRig(t)
	d := r.enroll(t)
	e := r.evidence(t, d)
	reason := errors.New("reason")
	r.verifier.Challenges = broken{reason}
	_, err := r.verifier.Challenge(t.Context(), &r.hello)
	fails(t, "Put", "challenge", err, nil)
	if !errors.Is(err, reason) {
		t.Error(err)
	}
	_, err = r.verifier.Check(t.Context(), d, e)
	fails(t, "Take", "check", err, nil)
	if !errors.Is(err, reason) {
		t.Error(err)
	}
	r.verifier.Challenges = broken{}
	_, err = r.verifier.Check(t.Context(), d, e)
	fails(t, "another value", "check", err, nil)
}
