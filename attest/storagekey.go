package attest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/google/go-tpm/tpm2"
)

// persistentSRK is the handle that the TCG assigns to the storage root key.
const persistentSRK = 0x81000001

// newParent returns the storage key for new keys: t.StorageKey, the persistent SRK if there is one
// made from a TCG template, else a P-256 key made from its template.
func (t *TPM) newParent(ctx context.Context) (*object, error) {
	if t.storage != nil {
		return t.storage, nil
	}
	if t.StorageKey != 0 {
		o, err := t.persistentParent(ctx, t.StorageKey)
		if err != nil {
			return nil, err
		}
		if a, err := parseArea(o.area); err != nil || a.isEK() || !a.has(attrFixedTPM) {
			return nil, notParent(t.StorageKey)
		}
		t.storage = o
		return o, nil
	}
	o, err := t.persistentParent(ctx, persistentSRK)
	if err != nil && !errors.Is(err, errNoParent) && !hasRC(err, tpm2.TPMRCHandle) {
		return nil, err
	}
	if err == nil {
		if a, perr := parseArea(o.area); perr == nil && a.isSRK() {
			t.storage = o
			return o, nil
		}
	}
	o, err = t.primaryParent(ctx)
	t.storage = o
	return o, err
}

// PersistSRK makes the P-256 storage root key persistent at 0x81000001 (TCG TPM v2.0
// Provisioning Guidance), unless a storage root key is there already. It stays until
// the owner hierarchy is cleared.
//
// A persistent key need not be made in each run, which takes a chip some tenths of
// a second, and [TPM.Keep] then has at most two transient objects loaded instead of
// three. Keys that were made before still work, but each run that uses them still
// makes their parent. Besides [TPM.PersistKey], no other method makes an object
// persistent.
//
// The error wraps an [*Error], and the error of ctx if that ended first. The TPM
// answers with TPM_RC_NV_DEFINED if another object is at the handle.
func (t *TPM) PersistSRK(ctx context.Context) error {
	return t.do(ctx, func() error {
		o, err := t.newParent(ctx)
		if err != nil || o.persistent() {
			return err
		}
		if err := t.evictControl(ctx, o, persistentSRK); err != nil {
			return err
		}
		t.loaded = slices.DeleteFunc(t.loaded, func(l *object) bool { return l == o })
		t.stray = append(t.stray, o.handle)
		// Key files that name the hierarchy mean the same key.
		o.handle = persistentSRK
		t.storage = &object{handle: o.handle, area: o.area, name: o.name, role: o.role, keyFile: persistentSRK}
		t.parents = append(t.parents, t.storage)
		return nil
	})
}

// parent returns the storage key that a key file names.
func (t *TPM) parent(ctx context.Context, keyFile uint32, use ...*object) (*object, error) {
	if keyFile == uint32(tpm2.TPMRHOwner) {
		return t.primaryParent(ctx)
	}
	return t.persistentParent(ctx, keyFile, use...)
}

// knownParent returns the storage key that a key file names if it was seen before,
// else nil.
func (t *TPM) knownParent(keyFile uint32) *object {
	for _, o := range t.parents {
		if o.keyFile == keyFile {
			return o
		}
	}
	return nil
}

var errNoParent = errors.New("not a storage key")

// notParent returns the error of a handle with a key under which this package makes and
// loads none: it is no storage key, or is used by a policy alone, as an endorsement key.
func notParent(handle uint32) error {
	return &Error{Op: "TPM2_ReadPublic", Err: fmt.Errorf("the key at 0x%08X is %w", handle, errNoParent)}
}

// persistentParent returns the storage key at a persistent handle.
func (t *TPM) persistentParent(ctx context.Context, handle uint32, use ...*object) (*object, error) {
	if o := t.knownParent(handle); o != nil {
		return o, nil
	}
	area, name, err := t.readPublic(ctx, handle, use...)
	if err != nil {
		return nil, err
	}
	a, err := parseArea(area)
	if err != nil || !a.isParent() || !a.has(attrUserWithAuth) {
		return nil, notParent(handle)
	}
	o := &object{handle: tpm2.TPMHandle(handle), area: area, name: name, role: roleParent, keyFile: handle}
	t.parents = append(t.parents, o)
	return o, nil
}

// readPublic returns the TPMT_PUBLIC and the name of a persistent object. The error
// wraps TPM_RC_HANDLE if there is none. The objects in use are not evicted for it.
func (t *TPM) readPublic(ctx context.Context, handle uint32, use ...*object) (area, name []byte, err error) {
	var rsp *tpm2.ReadPublicResponse
	err = t.withSlots(ctx, 1, func() (err error) {
		rsp, err = run(ctx, t, tpm2.ReadPublic{ObjectHandle: tpm2.TPMHandle(handle)})
		return err
	}, use...)
	if err != nil {
		return nil, nil, err
	}
	area = rsp.OutPublic.Bytes()
	name, err = Name(area)
	if err == nil && !bytes.Equal(name, rsp.Name.Buffer) {
		err = errors.New("name does not belong to the public area")
	}
	if errors.Is(err, errArea) { // some other kind of object
		return area, rsp.Name.Buffer, nil
	}
	if err != nil {
		return nil, nil, &Error{Op: "TPM2_ReadPublic", Err: err}
	}
	return area, name, nil
}

// primaryParent returns the P-256 storage key of the owner hierarchy, and makes it if
// it is not loaded.
func (t *TPM) primaryParent(ctx context.Context) (*object, error) {
	owner := uint32(tpm2.TPMRHOwner)
	if o := t.knownParent(owner); o != nil {
		return o, nil
	}
	o, err := t.createPrimary(ctx, tpm2.TPMRHOwner, t.OwnerAuth, srkTemplate().marshal())
	if err != nil {
		return nil, err
	}
	a, err := parseArea(o.area)
	if err != nil || !a.isSRK() || a.typ != algECC {
		return nil, &Error{Op: "TPM2_CreatePrimary", Err: errOtherKey}
	}
	o.role, o.keyFile = roleParent, owner
	t.parents = append(t.parents, o)
	return o, nil
}

// createPrimary makes and loads a primary key. Its template holds no secret, so it
// needs a session only if the hierarchy has an authorization value.
// The objects in use are not evicted for it.
func (t *TPM) createPrimary(ctx context.Context, hierarchy tpm2.TPMHandle, auth, template []byte, use ...*object) (*object, error) {
	var rsp *tpm2.CreatePrimaryResponse
	err := t.withSlots(ctx, 1, func() error {
		s, err := t.authSession(ctx, hierarchyName(hierarchy), auth)
		if err != nil {
			return err
		}
		rsp, err = run(ctx, t, tpm2.CreatePrimary{
			PrimaryHandle: tpm2.AuthHandle{Handle: hierarchy, Auth: s},
			InPublic:      tpm2.BytesAs2B[tpm2.TPMTPublic](template),
		})
		return t.spent(s, err)
	}, append(use, t.storage)...)
	if err != nil {
		return nil, err
	}
	o := &object{handle: rsp.ObjectHandle, area: rsp.OutPublic.Bytes()}
	t.loaded = append(t.loaded, o)
	if o.name, err = Name(o.area); err == nil && !bytes.Equal(o.name, rsp.Name.Buffer) {
		err = errors.New("name does not belong to the public area")
	}
	if err != nil {
		return nil, &Error{Op: "TPM2_CreatePrimary", Err: err}
	}
	return o, nil
}

// saltKey returns a storage key to which a session is salted: one that is known, else
// one that it makes in the null hierarchy, which needs no authorization.
func (t *TPM) saltKey(ctx context.Context) (*object, error) {
	for _, o := range slices.Concat(t.parents, t.loaded) {
		if o.role == roleParent || o.keyFile == uint32(tpm2.TPMRHNull) {
			return o, nil
		}
	}
	return t.nullKey(ctx)
}

// nullKey returns the P-256 storage key of the null hierarchy, which needs no
// authorization. The objects in use are not evicted for it.
func (t *TPM) nullKey(ctx context.Context, use ...*object) (*object, error) {
	for _, o := range t.loaded {
		if o.keyFile == uint32(tpm2.TPMRHNull) {
			return o, nil
		}
	}
	o, err := t.createPrimary(ctx, tpm2.TPMRHNull, nil, srkTemplate().marshal(), use...)
	if err == nil {
		o.keyFile = uint32(tpm2.TPMRHNull)
	}
	return o, err
}

// parentAuth returns the handle of a storage key with what authorizes one command. The
// objects in use are not evicted for it.
func (t *TPM) parentAuth(ctx context.Context, parent *object, use ...*object) (tpm2.AuthHandle, error) {
	var auth []byte
	if parent.persistent() {
		auth = t.StorageAuth
	}
	s, err := t.authSession(ctx, ofStorageKey, auth, append(use, parent)...)
	return parent.authorized(s), err
}

// What an authorization value can be of.
const (
	ofOwner       = "owner hierarchy"
	ofEndorsement = "endorsement hierarchy"
	ofStorageKey  = "storage root key"
	ofKey         = "key"
)

// hierarchyName returns the name of a hierarchy that may have an authorization value.
func hierarchyName(h tpm2.TPMHandle) string {
	if h == tpm2.TPMRHEndorsement {
		return ofEndorsement
	}
	return ofOwner
}

// authSession returns what authorizes a hierarchy or a key, called of, for one command: the empty
// password, or an HMAC session, salted so that an eavesdropper cannot try values on
// its HMAC. The objects in use are not evicted for it.
func (t *TPM) authSession(ctx context.Context, of string, auth []byte, use ...*object) (tpm2.Session, error) {
	if len(auth) == 0 {
		return tpm2.PasswordAuth(nil), nil
	}
	salt, err := t.saltKey(ctx)
	if err != nil {
		return nil, err
	}
	s, err := t.startSalted(ctx, salt, tpm2.TPMSEHMAC, use...)
	if err != nil {
		return nil, err
	}
	s.auth, s.of = auth, of
	return s, nil
}

// authorize returns the handle of k, which is loaded as o, with what authorizes one
// command. The objects in use are not evicted for it.
func (t *TPM) authorize(ctx context.Context, k *Key, o *object, use ...*object) (tpm2.AuthHandle, error) {
	if k.locked {
		return tpm2.AuthHandle{}, &Error{Op: "TPM2_StartAuthSession", Err: errors.New("key has an authorization value, or its file says so: give the value with Key.WithAuth, or WithAuth(nil) if the file is wrong, as those of tpm2_encodeobject 5.4 are")}
	}
	s, err := t.authSession(ctx, ofKey, k.auth, append(use, o)...)
	return o.authorized(s), err
}

// spent gives up s, if it is an HMAC session for one command, if that failed with
// err: the TPM ends such a session only after success. It returns err, in which it
// notes whose value the TPM did not take.
func (t *TPM) spent(s tpm2.Session, err error) error {
	if hmac, ok := s.(*session); ok && err != nil {
		t.stray = append(t.stray, hmac.handle)
		if e := (*Error)(nil); errors.As(err, &e) && hasRC(err, tpm2.TPMRCBadAuth, tpm2.TPMRCAuthFail) {
			e.refused = hmac.of
		}
	}
	return err
}
