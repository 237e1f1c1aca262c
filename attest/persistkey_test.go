package attest_test

import (
	"bytes"
	"crypto"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-tpm/tpm2"
	"github.com/google/go-tpm/tpm2/transport"

	"github.com/whiteglove/whiteglove/attest"
)

const ownHandle = 0x81050001

// quotesNonce checks a quote by a key.
func quotesNonce(t *testing.T, tpm *attest.TPM, aik *attest.Key) {
	t.Helper()
	q, err := tpm.Quote(t.Context(), aik, []byte("nonce"), crypto.SHA256, 0)
	if err == nil {
		err = q.Verify(aik.Public(), []byte("nonce"))
	}
	if err != nil {
		t.Error(err)
	}
}

// A key that the caller keeps in the TPM is used there, beside as many others as without
// that, and by later programs. It can be removed, and is usable all the same.
func TestPersistKey(t *testing.T) {
	for _, state := range []string{"ready", "fresh"} {
		forBackends(t, state, func(t *testing.T, tr transport.TPM) {
			p := &tap{TPM: tr}
			tpm := &attest.TPM{Transport: p}
			release := tpm.Keep()
			aik := create(t, tpm, attest.Template{Algorithm: attest.P256, Usage: attest.Attest})
			p.reset()
			if err := tpm.PersistKey(t.Context(), aik, ownHandle); err != nil {
				t.Fatal(err)
			}
			if log := p.reset(); !slices.Equal(log, []string{"EvictControl", "FlushContext"}) {
				t.Errorf("commands %v", log)
			}
			if err := tpm.PersistKey(t.Context(), aik, ownHandle); err != nil {
				t.Error(err)
			}
			ek := firstEK(t, tpm)
			keys := []*attest.Key{
				create(t, tpm, attest.Template{Algorithm: attest.P256, Usage: attest.Sign}),
				create(t, tpm, attest.Template{Algorithm: attest.P256, Usage: attest.Sign}),
				create(t, tpm, attest.Template{Algorithm: attest.P256, Usage: attest.Sign}),
			}
			for _, k := range keys {
				certify(t, tpm, k, aik, []byte("nonce"))
				activates(t, tpm, ek, aik)
				signs(t, k)
			}
			quotesNonce(t, tpm, aik)
			if err := release(t.Context()); err != nil {
				t.Error(err)
			}
			noneLoaded(t, tr)
			text, err := aik.MarshalText()
			if err != nil {
				t.Fatal(err)
			}
			laterPrograms(t, tr, text, aik)
		})
	}
}

// laterPrograms uses the key in the text, which is persistent, as other programs do, and
// removes it.
func laterPrograms(t *testing.T, tr transport.TPM, text []byte, first *attest.Key) {
	t.Helper()
	p := &tap{TPM: tr}
	tpm := &attest.TPM{Transport: p}
	aik, err := tpm.LoadKey(t.Context(), text)
	if err != nil {
		t.Fatal(err)
	}
	p.reset()
	if err := tpm.PersistKey(t.Context(), aik, ownHandle); err != nil {
		t.Fatal(err)
	}
	quotesNonce(t, tpm, aik)
	if log := p.reset(); slices.Contains(log, "EvictControl") || slices.Contains(log, "Load") {
		t.Errorf("commands %v", log)
	}
	other := create(t, tpm, attest.Template{Algorithm: attest.P256, Usage: attest.Attest})
	var e *attest.Error
	if err := tpm.PersistKey(t.Context(), other, ownHandle); !errors.As(err, &e) || e.RC != 0 || e.HRESULT() != 0x8028014C || !strings.Contains(e.Remedy(), "another persistent handle") {
		t.Errorf("handle of another key: %v", err)
	}
	if err := tpm.RemoveKey(t.Context(), other, ownHandle); !errors.As(err, &e) || e.RC != 0 {
		t.Errorf("handle of another key: %v", err)
	}
	forget(t, tr, ownHandle) // behind the program's back
	quotesNonce(t, tpm, aik)
	quotesNonce(t, tpm, other)
	if err := tpm.PersistKey(t.Context(), aik, ownHandle); err != nil {
		t.Error(err)
	}
	if err := tpm.RemoveKey(t.Context(), aik, ownHandle); err != nil || slices.Contains(handles(t, tr, 0x81000000), tpm2.TPMHandle(ownHandle)) {
		t.Errorf("RemoveKey: %v", err)
	}
	if err := tpm.RemoveKey(t.Context(), aik, ownHandle); err != nil {
		t.Errorf("RemoveKey of what is not there: %v", err)
	}
	quotesNonce(t, tpm, aik)
	noneLoaded(t, tr)
	again, err := aik.MarshalText()
	if err != nil || !bytes.Equal(again, text) || !bytes.Equal(first.Name(), aik.Name()) {
		t.Errorf("the key's text has changed: %v", err)
	}
}

// No handle is taken that the TCG reserves, or that is none.
func TestPersistKeyHandles(t *testing.T) {
	tr := emulator(t, "fresh")
	tpm := &attest.TPM{Transport: tr}
	k := create(t, tpm, attest.Template{Algorithm: attest.P256, Usage: attest.Sign})
	for _, h := range []uint32{0, 0x80000000, 0x81000000, 0x81000001, 0x81010001, 0x8101FFFF, 0x81800000, 0x01C00002, 0x40000001} {
		var e *attest.Error
		if err := tpm.PersistKey(t.Context(), k, h); !errors.As(err, &e) || e.RC != 0 || e.Remedy() == "" {
			t.Errorf("%#x: %v", h, err)
		}
		if err := tpm.RemoveKey(t.Context(), k, h); !errors.As(err, &e) || e.RC != 0 {
			t.Errorf("%#x: %v", h, err)
		}
	}
	if left := handles(t, tr, 0x81000000); len(left) != 0 {
		t.Errorf("handles %#x", left)
	}
}

// The owner's authorization value does not cross the bus.
func TestPersistKeyOwnerAuth(t *testing.T) {
	tr := emulator(t, "ready")
	value := []byte("the owner's own value")
	_, err := tpm2.HierarchyChangeAuth{AuthHandle: tpm2.TPMRHOwner, NewAuth: tpm2.TPM2BAuth{Buffer: value}}.Execute(tr)
	if err != nil {
		t.Fatal(err)
	}
	p := &tap{TPM: tr}
	p.before = func(command []byte) []byte {
		if bytes.Contains(command, value) {
			t.Error("the value crosses the bus")
		}
		return nil
	}
	tpm := &attest.TPM{Transport: p}
	k := create(t, tpm, attest.Template{Algorithm: attest.P256, Usage: attest.Sign})
	if err := tpm.PersistKey(t.Context(), k, ownHandle); !errors.Is(err, tpm2.TPMRCBadAuth) {
		t.Errorf("without the value: %v", err)
	}
	tpm.OwnerAuth = value
	if err := tpm.PersistKey(t.Context(), k, ownHandle); err != nil {
		t.Error(err)
	}
	signs(t, k)
	if err := tpm.RemoveKey(t.Context(), k, ownHandle); err != nil {
		t.Error(err)
	}
	noneLoaded(t, tr)
}
