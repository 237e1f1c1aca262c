package attest_test

import (
	"context"
	"crypto"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/google/go-tpm/tpm2"
	"github.com/google/go-tpm/tpm2/transport"

	"github.com/whiteglove/whiteglove/attest"
)

// A teller is a transport that takes contexts.
type teller struct {
	transport.TPM
	t    *testing.T
	tell func(ctx context.Context, cc tpm2.TPMCC) error // if not nil; its error is the transport's
}

func (p *teller) Send([]byte) ([]byte, error) {
	p.t.Error("Send called")
	return nil, errors.New("Send called")
}

func (p *teller) SendContext(ctx context.Context, command []byte) ([]byte, error) {
	if p.tell != nil {
		if err := p.tell(ctx, commandCode(command)); err != nil {
			return nil, err
		}
	}
	return p.TPM.Send(command)
}

type whose struct{}

// Each command, flushes too, carries the context of the method it is sent for.
func TestSendContext(t *testing.T) {
	tr := emulator(t, "fresh")
	p := &teller{TPM: tr, t: t}
	tpm := &attest.TPM{Transport: p}
	var k, aik *attest.Key
	step := func(name string, f func(context.Context) error) {
		t.Helper()
		n := 0
		p.tell = func(ctx context.Context, _ tpm2.TPMCC) error {
			if n++; ctx.Value(whose{}) != name {
				t.Errorf("%s: command %d was sent for %v", name, n, ctx.Value(whose{}))
			}
			return ctx.Err()
		}
		if err := f(context.WithValue(t.Context(), whose{}, name)); err != nil || n == 0 {
			t.Errorf("%s: %d commands, %v", name, n, err)
		}
	}
	step("Info", func(ctx context.Context) error {
		_, err := tpm.Info(ctx)
		return err
	})
	step("EKs", func(ctx context.Context) error {
		for _, err := range tpm.EKs(ctx) {
			return err
		}
		return nil
	})
	step("CreateKey", func(ctx context.Context) (err error) {
		aik, err = tpm.CreateKey(ctx, attest.Template{Algorithm: attest.P256, Usage: attest.Attest})
		if err == nil {
			k, err = tpm.CreateKey(ctx, attest.Template{Usage: attest.Sign | attest.Decrypt})
		}
		return err
	})
	release := tpm.Keep()
	step("Certify", func(ctx context.Context) error {
		_, err := tpm.Certify(ctx, k, aik, nil)
		return err
	})
	step("release", release)
	step("Sign", func(ctx context.Context) error {
		_, err := k.WithContext(ctx).Sign(nil, make32(), crypto.SHA256)
		return err
	})
	step("Decrypt", func(ctx context.Context) error {
		decrypts(t, k.WithContext(ctx).WithAuth(nil))
		return nil
	})

	bounded := func(ctx context.Context, _ tpm2.TPMCC) error {
		if _, ok := ctx.Deadline(); !ok || ctx.Value(whose{}) != nil || ctx.Err() != nil {
			t.Errorf("command sent under %v", ctx)
		}
		return nil
	}
	p.tell = bounded
	tpm.Keep()
	signs(t, k)
	var none context.Context
	signs(t, k.WithContext(t.Context()).WithContext(none))
	if err := tpm.Close(); err != nil {
		t.Error(err)
	}
	noneLoaded(t, tr)
}

// A transport can give up on any command, and what the TPM has is flushed.
func TestTransportGivesUp(t *testing.T) {
	tr := emulator(t, "fresh")
	for last := 0; ; last++ {
		ctx, cancel := context.WithCancel(t.Context())
		n := 0
		p := &teller{TPM: tr, t: t, tell: func(ctx context.Context, cc tpm2.TPMCC) error {
			if n++; n <= last {
				return nil
			}
			cancel()
			if err := ctx.Err(); err == nil != (cc == tpm2.TPMCCFlushContext) {
				t.Errorf("%v is sent under %v", cc, ctx)
			}
			return ctx.Err()
		}}
		_, err := (&attest.TPM{Transport: p}).CreateKey(ctx, attest.Template{Algorithm: attest.P256, Usage: attest.Attest})
		cancel()
		noneLoaded(t, tr)
		if err == nil {
			return
		}
		if !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
	}
}

// A key with a context is the same key, and gives up with its context.
func TestKeyWithContext(t *testing.T) {
	tr := emulator(t, "ready")
	p := &tap{TPM: tr}
	tpm := &attest.TPM{Transport: p}
	release := tpm.Keep()
	k := create(t, tpm, attest.Template{Algorithm: attest.P256, Usage: attest.Sign})
	p.reset()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	c := k.WithContext(ctx)
	signs(t, c)
	signs(t, k)
	if log := p.reset(); len(log) == 0 || slices.ContainsFunc(log, func(name string) bool { return name != "Sign" }) {
		t.Errorf("commands %v", log)
	}
	a, err := k.MarshalText()
	if err != nil {
		t.Fatal(err)
	}
	if b, err := c.MarshalText(); err != nil || !slices.Equal(a, b) {
		t.Errorf("another key: %v", err)
	}

	short, stop := context.WithCancel(t.Context())
	busy, asked := answerTo(tpm2.TPMCCSign, 0x922), 0
	p.before = func(command []byte) []byte {
		if asked++; asked == 3 {
			stop()
		}
		return busy(command)
	}
	if _, err := k.WithContext(short).Sign(nil, make32(), crypto.SHA256); !errors.Is(err, context.Canceled) || !errors.Is(err, tpm2.TPMRCRetry) {
		t.Errorf("busy TPM: %v", err)
	}
	p.before = nil
	if _, err := k.WithContext(short).Sign(nil, make32(), crypto.SHA256); !errors.Is(err, context.Canceled) {
		t.Errorf("context that is done: %v", err)
	}
	signs(t, k)
	if err := release(t.Context()); err != nil {
		t.Error(err)
	}
	noneLoaded(t, tr)
}
