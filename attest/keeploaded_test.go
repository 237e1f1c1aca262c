package attest_test

import (
	"context"
	"crypto"
	"errors"
	"slices"
	"sync"
	"testing"

	"github.com/google/go-tpm/tpm2"
	"github.com/google/go-tpm/tpm2/transport"

	"github.com/whiteglove/whiteglove/attest"
)

// At most three objects are loaded, two of them ours if the storage key is
// persistent; and after the last release none.
func TestKeep(t *testing.T) {
	for state, most := range map[string]int{"ready": 2, "fresh": 3} {
		forBackends(t, state, func(t *testing.T, tr transport.TPM) {
			ctx := context.Background()
			p := &tap{TPM: tr}
			p.change = func(_, answer []byte) []byte {
				if n := len(handles(t, tr, 0x80000000)); n > most {
					t.Errorf("%d objects loaded, more than %d", n, most)
				}
				return answer
			}
			tpm := &attest.TPM{Transport: p}
			outer, inner := tpm.Keep(), tpm.Keep()
			ek := firstEK(t, tpm)
			aik := create(t, tpm, attest.Template{Algorithm: attest.P256, Usage: attest.Attest})
			var keys []*attest.Key
			for range 3 {
				keys = append(keys, create(t, tpm, attest.Template{Algorithm: attest.P256, Usage: attest.Sign}))
			}
			cred, err := attest.MakeCredential(ek.PublicArea, aik.Name(), []byte("x"))
			if err != nil {
				t.Fatal(err)
			}
			for _, k := range keys {
				certify(t, tpm, k, aik, nil)
				if _, err := tpm.ActivateCredential(ctx, ek, aik, cred); err != nil {
					t.Fatal(err)
				}
			}
			// What was used last is still there.
			p.reset()
			if _, err := tpm.ActivateCredential(ctx, ek, aik, cred); err != nil {
				t.Fatal(err)
			}
			if log := p.reset(); !slices.Equal(log, []string{"PolicySecret", "ActivateCredential"}) {
				t.Errorf("commands of an activation: %v", log)
			}
			certify(t, tpm, keys[0], aik, nil)
			p.reset()
			certify(t, tpm, keys[0], aik, nil)
			if log := p.reset(); !slices.Equal(log, []string{"Certify"}) {
				t.Errorf("commands of a certification: %v", log)
			}
			for _, r := range []func(context.Context) error{inner, inner} {
				if err := r(ctx); err != nil {
					t.Error(err)
				}
			}
			if len(handles(t, tr, 0x80000000)) == 0 {
				t.Error("the inner release dropped all")
			}
			if err := outer(ctx); err != nil {
				t.Error(err)
			}
			noneLoaded(t, tr)
			if err := outer(ctx); err != nil || len(p.reset()) > 4 {
				t.Errorf("second release: %v", err)
			}
		})
	}
}

// An attestation key that gave its slot up is the first to go, and is loaded again when
// it is used.
func TestGiveUpSlot(t *testing.T) {
	forBackends(t, "ready", func(t *testing.T, tr transport.TPM) {
		p := &tap{TPM: tr}
		tpm := &attest.TPM{Transport: p}
		release := tpm.Keep()
		aik := create(t, tpm, attest.Template{Algorithm: attest.P256, Usage: attest.Attest})
		key := create(t, tpm, attest.Template{Algorithm: attest.P256, Usage: attest.Sign})
		p.reset()
		tpm.GiveUpSlot(aik)
		tpm.GiveUpSlot(nil)
		(*attest.TPM)(nil).GiveUpSlot(aik)
		if log := p.reset(); len(log) != 0 {
			t.Errorf("commands: %v", log)
		}
		another := create(t, tpm, attest.Template{Algorithm: attest.P256, Usage: attest.Sign})
		p.reset()
		signs(t, key)
		signs(t, another)
		if log := p.reset(); len(log) == 0 || slices.ContainsFunc(log, func(name string) bool { return name != "Sign" }) {
			t.Errorf("commands of two keys that are loaded: %v", log)
		}
		certify(t, tpm, key, aik, nil)
		signs(t, key)
		p.reset()
		create(t, tpm, attest.Template{Algorithm: attest.P256, Usage: attest.Sign}) // the attestation key is needed again, so it stays
		p.reset()
		if _, err := tpm.Quote(t.Context(), aik, []byte("nonce"), crypto.SHA256, 0); err != nil {
			t.Fatal(err)
		}
		if log := p.reset(); slices.Contains(log, "Load") || !slices.Contains(log, "Quote") {
			t.Errorf("commands of a quote: %v", log)
		}
		if err := release(t.Context()); err != nil {
			t.Error(err)
		}
		noneLoaded(t, tr)
	})
}

// Where others have filled the TPM, what can be missed is evicted, and an
// error says so where nothing can.
func TestForeignObjects(t *testing.T) {
	forBackends(t, "ready", func(t *testing.T, tr transport.TPM) {
		ctx := context.Background()
		tpm := &attest.TPM{Transport: tr}
		release := tpm.Keep()
		foreign := func() {
			if _, err := (tpm2.CreatePrimary{PrimaryHandle: tpm2.TPMRHOwner, InPublic: tpm2.New2B(tpm2.ECCSRKTemplate)}).Execute(tr); err != nil {
				t.Fatal(err)
			}
		}
		foreign()
		aik := create(t, tpm, attest.Template{Algorithm: attest.P256, Usage: attest.Attest})
		dk := create(t, tpm, attest.Template{Algorithm: attest.P256, Usage: attest.Sign})
		signs(t, dk)
		if err := aik.Creation().Verify(aik.Public(), nil); err != nil {
			t.Error(err)
		}
		if err := release(ctx); err != nil {
			t.Fatal(err)
		}
		foreign()
		_, err := tpm.CreateKey(ctx, attest.Template{Algorithm: attest.P256, Usage: attest.Sign})
		var e *attest.Error
		if !errors.As(err, &e) || e.RC != tpm2.TPMRCObjectMemory || e.Remedy() == "" {
			t.Errorf("TPM is full: %v", err)
		}
		flushAll(t, tr)
	})
}

// What was kept when the TPM was reset is loaded anew.
func TestReset(t *testing.T) {
	tr := emulator(t, "fresh")
	tpm := &attest.TPM{Transport: tr}
	release := tpm.Keep()
	aik := create(t, tpm, attest.Template{Algorithm: attest.P256, Usage: attest.Attest})
	dk := create(t, tpm, attest.Template{Algorithm: attest.P256, Usage: attest.Sign})
	if err := tr.Reboot(); err != nil {
		t.Fatal(err)
	}
	certify(t, tpm, dk, aik, nil)
	if err := tr.Reboot(); err != nil {
		t.Fatal(err)
	}
	signs(t, dk)
	if err := tr.Reboot(); err != nil {
		t.Fatal(err)
	}
	if err := release(context.Background()); err != nil {
		t.Error(err)
	}
	noneLoaded(t, tr)
}

// Another TPM refuses the keys.
func TestReplaced(t *testing.T) {
	for _, state := range []string{"ready", "fresh"} {
		tr := emulator(t, state)
		tpm := &attest.TPM{Transport: tr}
		ek := firstEK(t, tpm)
		k := create(t, tpm, attest.Template{Algorithm: attest.P256, Usage: attest.Attest})
		text, err := k.MarshalText()
		if err != nil {
			t.Fatal(err)
		}
		cred, err := attest.MakeCredential(ek.PublicArea, k.Name(), []byte("x"))
		if err != nil {
			t.Fatal(err)
		}
		if err := tr.Replace(); err != nil {
			t.Fatal(err)
		}
		_, err = tpm.LoadKey(context.Background(), text)
		var e *attest.Error
		if !errors.Is(err, tpm2.TPMRCIntegrity) || !errors.As(err, &e) || e.HRESULT() != 0x8028009F || e.Remedy() == "" {
			t.Errorf("%s: %v", state, err)
		}
		k = create(t, tpm, attest.Template{Algorithm: attest.P256, Usage: attest.Attest})
		if _, err := tpm.ActivateCredential(context.Background(), ek, k, cred); err == nil {
			t.Errorf("%s: credential of another TPM opened", state)
		}
		noneLoaded(t, tr)
	}
}

func TestConcurrent(t *testing.T) {
	tr := emulator(t, "fresh")
	for _, keep := range []bool{false, true} {
		tpm := &attest.TPM{Transport: tr}
		aik := create(t, tpm, attest.Template{Algorithm: attest.P256, Usage: attest.Attest})
		release := func(context.Context) error { return nil }
		if keep {
			release = tpm.Keep()
		}
		var wg sync.WaitGroup
		for range 6 {
			wg.Go(func() {
				done := tpm.Keep()
				k, err := tpm.CreateKey(context.Background(), attest.Template{Algorithm: attest.P256, Usage: attest.Sign})
				if err != nil {
					t.Error(err)
					return
				}
				if _, err := k.Sign(nil, make([]byte, 32), crypto.SHA256); err != nil {
					t.Error(err)
				}
				if err := done(context.Background()); err != nil {
					t.Error(err)
				}
				s, err := tpm.Certify(context.Background(), k, aik, []byte("n"))
				if err != nil {
					t.Error(err)
					return
				}
				if err := s.Verify(aik.Public(), []byte("n")); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if err := release(context.Background()); err != nil {
			t.Error(err)
		}
		noneLoaded(t, tr)
	}
}

func TestKeyOfAnotherTPM(t *testing.T) {
	a := &attest.TPM{Transport: emulator(t, "ready")}
	b := &attest.TPM{Transport: emulator(t, "ready")}
	k := create(t, a, attest.Template{Algorithm: attest.P256, Usage: attest.Attest})
	if _, err := b.Certify(context.Background(), k, k, nil); err == nil {
		t.Error("certified")
	}
	dk := create(t, a, attest.Template{Algorithm: attest.P256, Usage: attest.Sign})
	if _, err := a.Certify(context.Background(), k, dk, nil); err == nil {
		t.Error("certified by a key that is no attestation key")
	}
	if _, err := a.Certify(context.Background(), dk, k, make([]byte, 65)); err == nil {
		t.Error("certified a long nonce")
	}
}

// Close drops what is kept before it closes the transport.
func TestClose(t *testing.T) {
	tr := emulator(t, "ready")
	p := &closer{TPM: tr}
	tpm := &attest.TPM{Transport: p}
	release := tpm.Keep()
	create(t, tpm, attest.Template{Algorithm: attest.P256, Usage: attest.Sign})
	if err := tpm.Close(); err != nil || !p.closed {
		t.Errorf("closed %t, %v", p.closed, err)
	}
	noneLoaded(t, tr)
	if err := release(context.Background()); err != nil {
		t.Error(err)
	}
}

type closer struct {
	transport.TPM
	closed bool
}

func (c *closer) Close() error {
	c.closed = true
	return nil
}

// A key that is made unloaded costs one command, and its first use loads it.
func TestUnloaded(t *testing.T) {
	forBackends(t, "ready", func(t *testing.T, tr transport.TPM) {
		p := &tap{TPM: tr}
		tpm := &attest.TPM{Transport: p}
		tmpl := attest.Template{Algorithm: attest.P256, Usage: attest.Sign, Unloaded: true, Auth: []byte("value")}
		alone := create(t, tpm, tmpl)
		p.reset()
		release := tpm.Keep()
		aik := create(t, tpm, attest.Template{Algorithm: attest.P256, Usage: attest.Attest, Unloaded: true})
		p.reset()
		k := create(t, tpm, tmpl)
		if log := p.reset(); !slices.Equal(log, []string{"Create"}) {
			t.Errorf("commands %v", log)
		}
		for _, k := range []*attest.Key{k, alone} {
			signs(t, k)
			if log := p.reset(); !slices.Contains(log, "Load") {
				t.Errorf("commands %v", log)
			}
			certify(t, tpm, k, aik, []byte("nonce"))
			if log := p.reset(); slices.Contains(log, "Load") || slices.Contains(log, "Create") {
				t.Errorf("commands %v", log)
			}
			if !k.Matches(tmpl) {
				t.Error("the key is another")
			}
		}
		if err := release(t.Context()); err != nil {
			t.Error(err)
		}
		noneLoaded(t, tr)
	})
}

// Keys that gave up their slots go together when one slot is needed.
func TestGiveUpSlots(t *testing.T) {
	forBackends(t, "ready", func(t *testing.T, tr transport.TPM) {
		p := &tap{TPM: tr}
		tpm := &attest.TPM{Transport: p}
		release := tpm.Keep()
		tmpl := attest.Template{Algorithm: attest.P256, Usage: attest.Sign}
		a, b := create(t, tpm, tmpl), create(t, tpm, tmpl)
		tpm.GiveUpSlot(a)
		tpm.GiveUpSlot(b)
		p.reset()
		c := create(t, tpm, tmpl)
		if log := p.reset(); !slices.Equal(log, []string{"FlushContext", "FlushContext", "CreateLoaded"}) {
			t.Errorf("commands %v", log)
		}
		signs(t, c)
		signs(t, a)
		if err := release(t.Context()); err != nil {
			t.Error(err)
		}
		noneLoaded(t, tr)
	})
}
