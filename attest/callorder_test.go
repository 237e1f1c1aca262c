package attest_test

import (
	"context"
	"crypto"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-tpm/tpm2"

	"github.com/whiteglove/whiteglove/attest"
	"github.com/whiteglove/whiteglove/attest/attesttest"
)

// Callers are served in the order in which they came, though one of them comes
// again at once each time.
func TestFair(t *testing.T) {
	tr, err := attesttest.New(attesttest.Config{Delay: func(name string) time.Duration {
		if name == "TPM2_Sign" {
			return 5 * time.Millisecond
		}
		return 0
	}})
	if err != nil {
		t.Fatal(err)
	}
	tpm := &attest.TPM{Transport: tr}
	release := tpm.Keep()
	k := create(t, tpm, attest.Template{Algorithm: attest.P256, Usage: attest.Sign})
	var mu sync.Mutex
	var order []int
	var wg sync.WaitGroup
	for i := range 4 {
		wg.Go(func() {
			for range 6 {
				if _, err := k.Sign(nil, make32(), crypto.SHA256); err != nil {
					t.Error(err)
				}
				mu.Lock()
				order = append(order, i)
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	// Nobody is served again before those who waited. The last calls are left
	// out: by then nobody else may wait.
	for n := 4; n < len(order)-7; n++ {
		if order[n+1] == order[n] {
			t.Errorf("%d was served again at once: %v", order[n], order)
		}
	}
	if err := release(t.Context()); err != nil {
		t.Error(err)
	}
	noneLoaded(t, tr)
}

// Who waits for the turn can give up, and then no command was sent for it.
func TestCanceledWhileWaiting(t *testing.T) {
	inside, leave := make(chan struct{}), make(chan struct{})
	var once sync.Once
	tr := emulator(t, "ready")
	p := &tap{TPM: tr, before: func([]byte) []byte {
		once.Do(func() {
			close(inside)
			<-leave
		})
		return nil
	}}
	tpm := &attest.TPM{Transport: p}
	done := make(chan error)
	go func() {
		_, err := tpm.Info(context.Background())
		done <- err
	}()
	<-inside
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
	defer cancel()
	_, err := tpm.ReadNV(ctx, 0x01C00002)
	var e *attest.Error
	if !errors.Is(err, context.DeadlineExceeded) || !errors.As(err, &e) {
		t.Errorf("%v", err)
	}
	close(leave)
	if err := <-done; err != nil {
		t.Error(err)
	}
	if log := p.reset(); !slices.Equal(log, []string{"GetCapability"}) {
		t.Errorf("commands %v", log)
	}
}

// Wherever in a whole run, with keys that have authorization values, the context
// ends or the TPM fails, nothing stays loaded.
func TestNothingLeftAnywhere(t *testing.T) {
	for _, state := range []string{"ready", "fresh"} {
		for _, keep := range []bool{false, true} {
			for _, rc := range []uint16{0, 0x101, 0x98E} { // 0 ends the context
				for last := 0; ; last++ {
					if !stopAfter(t, state, keep, rc, last) {
						break
					}
				}
			}
		}
	}
}

// stopAfter stops a run after some commands, and reports whether it had more.
func stopAfter(t *testing.T, state string, keep bool, rc uint16, last int) bool {
	t.Helper()
	tr := emulator(t, state)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	n := 0
	p := &tap{TPM: tr, before: func(command []byte) []byte {
		if n++; n <= last || commandCode(command) == tpm2.TPMCCFlushContext {
			return nil
		}
		if rc == 0 {
			cancel()
			return nil
		}
		return rcAnswer(rc)
	}}
	tpm := &attest.TPM{Transport: p}
	release := func(context.Context) error { return nil }
	if keep {
		release = tpm.Keep()
	}
	err := func() error {
		aik, err := tpm.CreateKey(ctx, attest.Template{Algorithm: attest.P256, Usage: attest.Attest, Auth: []byte("a")})
		if err != nil {
			return err
		}
		k, err := tpm.CreateKey(ctx, attest.Template{Algorithm: attest.P256, Usage: attest.Sign, Auth: []byte("b")})
		if err != nil {
			return err
		}
		if _, err := tpm.Certify(ctx, k, aik, nil); err != nil {
			return err
		}
		_, err = tpm.Quote(ctx, aik, nil, crypto.SHA256)
		return err
	}()
	if rerr := release(ctx); rerr != nil {
		t.Errorf("release: %v", rerr)
	}
	noneLoaded(t, tr)
	return err != nil
}
