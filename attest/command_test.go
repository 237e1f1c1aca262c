package attest_test

import (
	"bytes"
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/go-tpm/tpm2"

	"github.com/whiteglove/whiteglove/attest"
)

// The TPM's wish to have a command again is met, until the context ends.
func TestBusy(t *testing.T) {
	tr := emulator(t, "ready")
	p := &tap{TPM: tr}
	tpm := &attest.TPM{Transport: p}
	n := 0
	p.before = func([]byte) []byte {
		n++
		if n%4 == 0 {
			return nil
		}
		return rcAnswer([]uint16{0, 0x922, 0x908, 0x90A}[n%4])
	}
	signs(t, create(t, tpm, attest.Template{Algorithm: attest.P256, Usage: attest.Sign}))

	p.before = answerTo(tpm2.TPMCCCreateLoaded, 0x922)
	ctx, cancel := context.WithTimeout(context.Background(), 500*time.Millisecond)
	defer cancel()
	_, err := tpm.CreateKey(ctx, attest.Template{Algorithm: attest.P256, Usage: attest.Sign})
	var e *attest.Error
	if !errors.Is(err, context.DeadlineExceeded) || !errors.As(err, &e) || e.RC != tpm2.TPMRCRetry || !e.Retryable() || e.HRESULT() != 0x80280922 {
		t.Errorf("%v", err)
	}
	noneLoaded(t, tr)
}

// The context is looked at between commands, and what is loaded goes all the
// same.
func TestCanceled(t *testing.T) {
	tr := emulator(t, "fresh")
	for last := 0; ; last++ {
		ctx, cancel := context.WithCancel(context.Background())
		n := 0
		p := &tap{TPM: tr, before: func([]byte) []byte {
			if n++; n > last {
				cancel()
			}
			return nil
		}}
		if last == 0 {
			cancel()
		}
		_, err := (&attest.TPM{Transport: p}).CreateKey(ctx, attest.Template{Algorithm: attest.P256, Usage: attest.Attest})
		cancel()
		noneLoaded(t, tr)
		if last == 0 && n != 0 {
			t.Errorf("%d commands after the end of the context", n)
		}
		if err == nil {
			if last < 5 {
				t.Errorf("done after %d commands", last)
			}
			return
		}
		if !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
	}
}

// A hostile answer gives an error.
func TestGarbage(t *testing.T) {
	for _, answer := range [][]byte{
		nil,
		{0x80},
		rcAnswer(0),
		{0x80, 1, 0, 0, 0, 12, 0, 0, 0, 0, 0, 0},
		{0x80, 2, 0, 0, 0, 10, 0, 0, 0, 0},
		append([]byte{0x80, 1, 0, 0, 0, 60, 0, 0, 0, 0}, bytes.Repeat([]byte{0xFF}, 50)...),
		append([]byte{0x80, 1, 0, 0, 0, 60, 0, 0, 0, 0}, make([]byte, 50)...),
		append([]byte{0x80, 1, 0, 1, 0, 10, 0, 0, 0, 0}, make([]byte, 65536)...),
	} {
		tpm := &attest.TPM{Transport: constant(answer)}
		ctx := context.Background()
		if _, err := tpm.CreateKey(ctx, attest.Template{Usage: attest.Sign}); err == nil {
			t.Errorf("%x: key made", answer)
		}
		if _, err := tpm.ReadNV(ctx, 0x01C00002); err == nil {
			t.Errorf("%x: NV read", answer)
		}
		if _, err := tpm.Info(ctx); err == nil {
			t.Errorf("%x: info", answer)
		}
		for ek, err := range tpm.EKs(ctx) {
			if err == nil {
				t.Errorf("%x: endorsement key %v", answer, ek)
			}
		}
	}
}

type constant []byte

func (c constant) Send([]byte) ([]byte, error) { return c, nil }
