package attest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/google/go-tpm/tpm2"
)

// Reasons why a handle cannot be that of a caller's key.
var (
	errHandle   = errors.New("not a persistent handle for a program's own keys: it must be from 0x81020000 to 0x817FFFFF")
	errOccupied = errors.New("the handle has another object")
)

// checkHandle returns an error unless handle is one of the owner hierarchy's outside the
// ranges that the TCG reserves for storage and endorsement keys (Registry of Reserved TPM
// 2.0 Handles and Localities, section 2.3.1).
func checkHandle(handle uint32) error {
	if handle < 0x81020000 || handle > 0x817FFFFF {
		return fmt.Errorf("0x%08X: %w", handle, errHandle)
	}
	return nil
}

// PersistKey keeps k in the TPM at a persistent handle, from 0x81020000 to 0x817FFFFF,
// until [TPM.RemoveKey] removes it or the owner hierarchy is cleared. From then on, this
// TPM uses k there, and does not load it: k takes a slot only while a command uses it,
// and behind a resource manager, such as that of Linux, the chip need not load and
// save k around every command. It writes NV memory, which a TPM permits some ten
// thousand times, and of which it has little: persist a key that is used often or for
// long, such as an attestation key.
//
// If k is at the handle already, as after an earlier run, PersistKey writes nothing. The
// text of [Key.MarshalText] stays as it is: a program that loads the key from it calls
// PersistKey again, with the same handle, to use the key there.
//
// The error wraps an [*Error], and the error of ctx if that ended first. The TPM answers
// with TPM_RC_NV_SPACE if it has no room. If the handle has another object, or is not
// in the range, the error has no response code.
func (t *TPM) PersistKey(ctx context.Context, k *Key, handle uint32) error {
	if k == nil || k.tpm == nil {
		return &Error{Op: "PersistKey", Err: errNoKey}
	}
	if err := checkHandle(handle); err != nil {
		return &Error{Op: "PersistKey", Err: err}
	}
	return t.do(ctx, func() error {
		if t.find(k.name) == nil { // it may be there from an earlier run
			there, err := t.holds(ctx, handle, k)
			if err != nil {
				return err
			}
			if there {
				t.keepAt(k, handle)
				return nil
			}
		}
		o, err := t.load(ctx, k)
		if err != nil {
			return err
		}
		err = t.evictControl(ctx, o, handle)
		if hasRC(err, tpm2.TPMRCNVDefined) {
			switch there, herr := t.holds(ctx, handle, k, o); {
			case herr != nil:
				err = herr
			case there:
				err = nil
			}
		}
		if err != nil || o.persistent() {
			return err
		}
		t.loaded = slices.DeleteFunc(t.loaded, func(l *object) bool { return l == o })
		t.stray = append(t.stray, o.handle)
		t.keepAt(k, handle)
		return t.sweep(ctx)
	})
}

// RemoveKey removes k, which [TPM.PersistKey] keeps at a handle. k stays usable, because
// its text has all that is needed to load it. RemoveKey does nothing if the handle has no
// object.
//
// The error wraps an [*Error], and the error of ctx if that ended first. It has no
// response code if the handle has another object, which stays, or is not in the range.
func (t *TPM) RemoveKey(ctx context.Context, k *Key, handle uint32) error {
	if k == nil || k.tpm == nil {
		return &Error{Op: "RemoveKey", Err: errNoKey}
	}
	if err := checkHandle(handle); err != nil {
		return &Error{Op: "RemoveKey", Err: err}
	}
	return t.do(ctx, func() error {
		there, err := t.holds(ctx, handle, k)
		if err != nil {
			return err
		}
		t.persisted = slices.DeleteFunc(t.persisted, func(o *object) bool { return bytes.Equal(o.name, k.name) })
		if !there {
			return nil
		}
		return t.evictControl(ctx, &object{handle: tpm2.TPMHandle(handle), name: k.name}, handle)
	})
}

// holds reports whether the TPM has k at a handle. It is an error if it has another
// object there. The objects in use are not evicted for it.
func (t *TPM) holds(ctx context.Context, handle uint32, k *Key, use ...*object) (bool, error) {
	_, name, err := t.readPublic(ctx, handle, use...)
	switch {
	case hasRC(err, tpm2.TPMRCHandle):
		return false, nil
	case err != nil:
		return false, err
	case !bytes.Equal(name, k.name):
		return false, &Error{Op: "TPM2_ReadPublic", Err: fmt.Errorf("0x%08X: %w", handle, errOccupied)}
	}
	return true, nil
}

// evictControl makes an object persistent at a handle, or removes it if it is there.
func (t *TPM) evictControl(ctx context.Context, o *object, handle uint32) error {
	s, err := t.authSession(ctx, ofOwner, t.OwnerAuth, o)
	if err != nil {
		return err
	}
	_, err = run(ctx, t, tpm2.EvictControl{
		Auth:             tpm2.AuthHandle{Handle: tpm2.TPMRHOwner, Auth: s},
		ObjectHandle:     o.named(),
		PersistentHandle: tpm2.TPMIDHPersistent(handle),
	})
	return t.spent(s, err)
}

// keepAt notes that k is at a persistent handle.
func (t *TPM) keepAt(k *Key, handle uint32) {
	t.persisted = slices.DeleteFunc(t.persisted, func(o *object) bool { return bytes.Equal(o.name, k.name) })
	t.persisted = append(t.persisted, &object{handle: tpm2.TPMHandle(handle), area: k.area, name: k.name, role: k.role()})
}

// persistentKey returns k at its persistent handle, with room for it, or nil if it has
// none. The objects in use are not evicted for it.
func (t *TPM) persistentKey(ctx context.Context, k *Key, use ...*object) (*object, error) {
	i := slices.IndexFunc(t.persisted, func(o *object) bool { return bytes.Equal(o.name, k.name) })
	if i < 0 {
		return nil, nil
	}
	o := t.persisted[i]
	t.usedPersisted = true
	return o, t.withSlots(ctx, 1, func() error { return nil }, use...)
}

// borrowed returns how many slots a command takes for those of the objects that are
// persistent.
func borrowed(use ...*object) int {
	n := 0
	for _, o := range use {
		if o != nil {
			n += o.borrows()
		}
	}
	return n
}
