package attest

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"time"

	"github.com/google/go-tpm/tpm2"
)

// slots is how many objects a chip holds at a time. A persistent object takes a slot,
// too, while a command uses it.
const slots = 3

// A role is the order in which objects are evicted from their slots.
type role int

const (
	roleSpare role = iota // its key gave up its slot
	roleEK
	roleKey
	roleAIK
	roleParent // evicted only if another parent is needed
)

// An object is a key in the TPM.
type object struct {
	handle  tpm2.TPMHandle
	area    []byte // TPMT_PUBLIC
	name    []byte
	role    role
	keyFile uint32 // for a parent: what key files call it, a persistent handle or TPM_RH_OWNER
}

// persistent reports whether o is persistent, so that it takes a slot only while it
// is used.
func (o *object) persistent() bool { return o.handle>>24 == 0x81 }

// borrows returns how many slots a command takes for o besides those of the loaded
// objects: 1 if o is persistent, else 0.
func (o *object) borrows() int {
	if o.persistent() {
		return 1
	}
	return 0
}

// named returns the handle of o for a command that needs no authorization by it.
func (o *object) named() tpm2.NamedHandle {
	return tpm2.NamedHandle{Handle: o.handle, Name: tpm2.TPM2BName{Buffer: o.name}}
}

// password returns the handle of o with its empty authorization value.
func (o *object) password() tpm2.AuthHandle { return o.authorized(tpm2.PasswordAuth(nil)) }

// authorized returns the handle of o with the authorization s.
func (o *object) authorized(s tpm2.Session) tpm2.AuthHandle {
	return tpm2.AuthHandle{Handle: o.handle, Name: tpm2.TPM2BName{Buffer: o.name}, Auth: s}
}

// find returns the loaded object with the given name, or nil. It becomes the most
// recently used one.
func (t *TPM) find(name []byte) *object {
	i := slices.IndexFunc(t.loaded, func(o *object) bool { return bytes.Equal(o.name, name) })
	if i < 0 {
		return nil
	}
	o := t.loaded[i]
	t.loaded = append(slices.Delete(t.loaded, i, i+1), o)
	return o
}

// withSlots runs f, a command that needs the given number of slots besides those of
// the loaded objects, and that uses the objects in use. It evicts other objects
// first if there are too many. If the TPM still has no slot, because other programs
// have loaded objects, it evicts all but those in use and runs f again.
func (t *TPM) withSlots(ctx context.Context, need int, f func() error, use ...*object) error {
	evicted := false
	for len(t.loaded)+need > slots && t.evict(ctx, use) {
		evicted = true
	}
	// Those that gave up their slots go at the same time, because the kernel's resource
	// manager saves and loads every object around each command.
	for evicted && slices.ContainsFunc(t.loaded, func(o *object) bool { return o.role == roleSpare && !slices.Contains(use, o) }) {
		t.evict(ctx, use)
	}
	err := f()
	if !hasRC(err, tpm2.TPMRCObjectMemory) {
		return err
	}
	freed := false
	for t.evict(ctx, use) {
		freed = true
	}
	if !freed {
		return err
	}
	return f()
}

// GiveUpSlot says that a key is not needed soon. While [TPM.Keep] is in force, it is then
// the first to be flushed when another key needs a slot, even if it is an attestation
// key, and all that gave up their slots are flushed together. It stays usable: the next use loads it again. GiveUpSlot sends no command.
func (t *TPM) GiveUpSlot(k *Key) {
	if t == nil || k == nil {
		return
	}
	_ = t.lock(context.Background())
	defer t.unlock()
	for _, o := range t.loaded {
		if bytes.Equal(o.name, k.name) {
			o.role = roleSpare
		}
	}
}

// evict flushes the loaded object that is least needed and not in use, and reports
// whether there was one.
func (t *TPM) evict(ctx context.Context, use []*object) bool {
	best := -1
	another := slices.ContainsFunc(use, func(o *object) bool { return o != nil && o.role == roleParent })
	for i, o := range t.loaded {
		if (o.role != roleParent || another) && !slices.Contains(use, o) && (best < 0 || o.role < t.loaded[best].role) {
			best = i
		}
	}
	if best < 0 {
		return false
	}
	o := t.loaded[best]
	t.loaded = slices.Delete(t.loaded, best, best+1)
	t.parents = slices.DeleteFunc(t.parents, func(p *object) bool { return p == o })
	if t.storage == o {
		t.storage = nil
	}
	if t.flush(ctx, o.handle) != nil {
		t.stray = append(t.stray, o.handle)
	}
	return true
}

// distrust gives up the object or session that a command made whose answer cannot be
// trusted, and the kept session.
func (t *TPM) distrust(made tpm2.TPMHandle) {
	if h := made >> 24; h == 0x80 || h == 0x02 || h == 0x03 {
		t.stray = append(t.stray, made)
	}
	t.endSession()
}

// endSession gives up the kept session.
func (t *TPM) endSession() {
	if t.session != nil {
		t.stray = append(t.stray, t.session.handle)
		t.session = nil
	}
}

// sweep flushes the handles that were given up.
func (t *TPM) sweep(ctx context.Context) error {
	stray := t.stray
	t.stray = nil
	if t.silence != nil {
		return nil
	}
	return t.flush(ctx, stray...)
}

// drop flushes all objects and sessions. It gives them up without a command if the TPM
// does not answer any more.
func (t *TPM) drop(ctx context.Context) error {
	for _, o := range t.loaded {
		t.stray = append(t.stray, o.handle)
	}
	t.loaded, t.parents, t.storage = nil, nil, nil
	t.endSession()
	return t.sweep(ctx)
}

// flush flushes handles, even if ctx has ended.
func (t *TPM) flush(ctx context.Context, handles ...tpm2.TPMHandle) error {
	if len(handles) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	var errs []error
	for _, h := range handles {
		if _, err := run(ctx, t, tpm2.FlushContext{FlushHandle: h}); err != nil {
			errs = append(errs, err)
		}
		if t.silence != nil {
			break
		}
	}
	if t.reopened { // all of them are gone
		return nil
	}
	return errors.Join(errs...)
}

// forget gives up all objects and sessions without a command: they are gone with the
// connection that the transport had. The method that runs then sends no more commands,
// because the handles that it has may be those of other objects soon. It starts over.
func (t *TPM) forget() {
	t.loaded, t.parents, t.storage, t.session, t.stray = nil, nil, nil, nil, nil
	t.reopened = true
}
