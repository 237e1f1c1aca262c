package attest

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-tpm/tpm2"
)

// A flusher is a TPM that only flushes, and notes what. It refuses one handle.
type flusher struct {
	flushed []tpm2.TPMHandle
	refused tpm2.TPMHandle
}

func (f *flusher) Send(command []byte) ([]byte, error) {
	if code := binary.BigEndian.Uint32(command[6:]); code != uint32(tpm2.TPMCCFlushContext) {
		return nil, fmt.Errorf("command %#x", code)
	}
	h := tpm2.TPMHandle(binary.BigEndian.Uint32(command[10:]))
	f.flushed = append(f.flushed, h)
	code := byte(0)
	if h == f.refused {
		code = 0x0B // in TPM_RC_HANDLE
	}
	return []byte{0x80, 0x01, 0, 0, 0, 10, 0, 0, 0, code}, nil
}

// What is evicted for a command, in which order.
func TestEvictionOrder(t *testing.T) {
	made := func(n int, r role) *object { return &object{handle: tpm2.TPMHandle(0x80000000 + n), role: r} }
	spare, ek, key, older, aik, parent := made(1, roleSpare), made(2, roleEK), made(3, roleKey), made(4, roleKey), made(5, roleAIK), made(6, roleParent)
	another := made(7, roleParent)
	for name, tt := range map[string]struct {
		loaded, use []*object
		want        []*object
	}{
		"least needed first":        {[]*object{aik, key, ek, spare}, nil, []*object{spare, ek, key, aik}},
		"the longest unused first":  {[]*object{older, key}, nil, []*object{older, key}},
		"not those in use":          {[]*object{older, key, aik}, []*object{older}, []*object{key, aik}},
		"nil is in use":             {[]*object{key}, []*object{nil}, []*object{key}},
		"not the parent":            {[]*object{parent, key}, nil, []*object{key}},
		"the parent for another":    {[]*object{parent, key}, []*object{another}, []*object{key, parent}},
		"no parent for another key": {[]*object{parent, key}, []*object{aik}, []*object{key}},
	} {
		f := new(flusher)
		tpm := &TPM{Transport: f, loaded: slices.Clone(tt.loaded), parents: []*object{parent}, storage: parent}
		for tpm.evict(t.Context(), tt.use) {
		}
		var want []tpm2.TPMHandle
		for _, o := range tt.want {
			want = append(want, o.handle)
		}
		if !slices.Equal(f.flushed, want) {
			t.Errorf("%s: flushed %x, want %x", name, f.flushed, want)
		}
		gone := slices.Contains(tt.want, parent)
		if (tpm.storage == nil) != gone || (len(tpm.parents) == 0) != gone {
			t.Errorf("%s: the storage key is known: %v, %v", name, tpm.storage, tpm.parents)
		}
	}
}

// What could not be flushed is flushed later.
func TestFlushRefused(t *testing.T) {
	f := &flusher{refused: 0x80000001}
	tpm := &TPM{Transport: f, loaded: []*object{{handle: 0x80000001}}}
	if !tpm.evict(t.Context(), nil) || !slices.Equal(tpm.stray, []tpm2.TPMHandle{0x80000001}) {
		t.Errorf("given up: %x", tpm.stray)
	}
	if err := tpm.sweep(t.Context()); !hasRC(err, tpm2.TPMRCHandle) && err == nil {
		t.Errorf("a refused flush: %v", err)
	}
	f.refused = 0
	if err := tpm.flush(t.Context(), 0x80000001, 0x80000002); err != nil || len(f.flushed) != 4 {
		t.Errorf("%x, %v", f.flushed, err)
	}
	if err := tpm.flush(t.Context()); err != nil || len(f.flushed) != 4 {
		t.Errorf("%x, %v", f.flushed, err)
	}
	f.refused, tpm.reopened = 1, true // the handles are of no meaning
	if err := tpm.flush(t.Context(), 1); err != nil {
		t.Error(err)
	}
}

// Of what a command with a doubtful answer made, transient objects and sessions
// are flushed later.
func TestDistrust(t *testing.T) {
	for handle, kept := range map[tpm2.TPMHandle]bool{
		0x80000000: true, 0x80FFFFFF: true, 0x02000001: true, 0x03000001: true, 0: false, 0x01C00002: false, 0x40000001: false, 0x81000001: false, 0x04000000: false,
	} {
		tpm := &TPM{session: &session{handle: 0x02000007}}
		tpm.distrust(handle)
		want := []tpm2.TPMHandle{0x02000007}
		if kept {
			want = []tpm2.TPMHandle{handle, 0x02000007}
		}
		if !slices.Equal(tpm.stray, want) || tpm.session != nil {
			t.Errorf("%#x: given up %x, session %v", handle, tpm.stray, tpm.session)
		}
	}
}

// A persistent object takes a slot while it is used.
func TestSlots(t *testing.T) {
	for handle, n := range map[tpm2.TPMHandle]int{0x81000001: 1, 0x81FFFFFF: 1, 0x80000001: 0, 0x82000000: 0} {
		if got := (&object{handle: handle}).borrows(); got != n {
			t.Errorf("%#x borrows %d", handle, got)
		}
	}
	memory := &Error{Op: "TPM2_Load", Err: tpm2.TPMRCObjectMemory, RC: tpm2.TPMRCObjectMemory}
	for name, tt := range map[string]struct {
		loaded, spare int
		need          int
		fails         error
		runs, flushed int
	}{
		"room":                  {2, 0, 1, nil, 1, 0},
		"no room":               {3, 0, 1, nil, 1, 1},
		"two needed":            {3, 0, 2, nil, 1, 2},
		"others have the slots": {2, 0, 1, memory, 2, 2},
		"two spare, and room":   {2, 2, 1, nil, 1, 0},
		"two spare, no room":    {3, 2, 1, nil, 1, 2},
		"one spare, two needed": {3, 1, 2, nil, 1, 2},
		"nothing to free":       {0, 0, 1, memory, 1, 0},
		"another error":         {2, 0, 1, errors.New("no"), 1, 0},
	} {
		f, runs := new(flusher), 0
		tpm := &TPM{Transport: f}
		for n := range tt.loaded {
			tpm.loaded = append(tpm.loaded, &object{handle: tpm2.TPMHandle(0x80000000 + n), role: roleKey})
		}
		for _, o := range tpm.loaded[:tt.spare] {
			o.role = roleSpare
		}
		err := tpm.withSlots(t.Context(), tt.need, func() error { runs++; return tt.fails })
		if !errors.Is(err, tt.fails) || runs != tt.runs || len(f.flushed) != tt.flushed {
			t.Errorf("%s: %v after %d runs, %d flushed", name, err, runs, len(f.flushed))
		}
	}
}
