package attest

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"github.com/google/go-tpm/tpm2"
)

// persistentSRK is where the TCG has the storage root key.
const persistentSRK = 0x81000001

// newParent returns the storage key for new keys: the persistent SRK if it is
// there and is what the TCG's templates make, else a P-256 one from its
// template.
func (t *TPM) newParent(ctx context.Context) (*object, error) {
	if t.storage != nil {
		return t.storage, nil
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
	if err == nil {
		t.storage = o
	}
	return o, err
}

// parent returns the storage key that a key file names.
func (t *TPM) parent(ctx context.Context, keyFile uint32, use ...*object) (*object, error) {
	if keyFile == uint32(tpm2.TPMRHOwner) {
		return t.primaryParent(ctx)
	}
	return t.persistentParent(ctx, keyFile, use...)
}

func (t *TPM) knownParent(keyFile uint32) *object {
	for _, o := range t.parents {
		if o.keyFile == keyFile {
			return o
		}
	}
	return nil
}

var errNoParent = errors.New("not a storage key")

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
	if err != nil || !a.isParent() {
		return nil, &Error{Op: "TPM2_ReadPublic", Err: fmt.Errorf("%#x: %w", handle, errNoParent)}
	}
	o := &object{handle: tpm2.TPMHandle(handle), area: area, name: name, role: roleParent, keyFile: handle}
	t.parents = append(t.parents, o)
	return o, nil
}

// readPublic returns the TPMT_PUBLIC and the name of a persistent object,
// TPM_RC_HANDLE if there is none. The objects in use are not evicted for it.
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

// primaryParent returns the P-256 storage key of the owner hierarchy.
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
		return nil, &Error{Op: "TPM2_CreatePrimary", Err: errors.New("the TPM made another key than asked for")}
	}
	o.role, o.keyFile = roleParent, owner
	t.parents = append(t.parents, o)
	return o, nil
}

// createPrimary makes and loads a primary key. Its template holds no secret,
// so only an authorization value of the hierarchy needs a session, of its own.
func (t *TPM) createPrimary(ctx context.Context, hierarchy tpm2.TPMHandle, auth, template []byte) (*object, error) {
	var rsp *tpm2.CreatePrimaryResponse
	err := t.withSlots(ctx, 1, func() error {
		s, err := t.authSession(ctx, auth)
		if err != nil {
			return err
		}
		rsp, err = run(ctx, t, tpm2.CreatePrimary{
			PrimaryHandle: tpm2.AuthHandle{Handle: hierarchy, Auth: s},
			InPublic:      tpm2.BytesAs2B[tpm2.TPMTPublic](template),
		})
		return t.spent(s, err)
	}, t.storage)
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

// authSession returns what authorizes a hierarchy or a key for one command: the
// empty password, or an HMAC session, salted if a storage key is at hand. The
// objects in use are not evicted for it.
func (t *TPM) authSession(ctx context.Context, auth []byte, use ...*object) (tpm2.Session, error) {
	if len(auth) == 0 {
		return tpm2.PasswordAuth(nil), nil
	}
	var salt *object
	need := 0
	if len(t.parents) > 0 {
		salt = t.parents[0]
		need = salt.borrows()
	}
	var s *session
	err := t.withSlots(ctx, need, func() (err error) {
		s, err = t.startSession(ctx, salt, tpm2.TPMSEHMAC, algSHA256)
		return err
	}, use...)
	if err != nil {
		return nil, err
	}
	s.auth = auth
	return s, nil
}

// authorize returns k, loaded as o, authorized for one command. The objects in
// use are not evicted for it.
func (t *TPM) authorize(ctx context.Context, k *Key, o *object, use ...*object) (tpm2.AuthHandle, error) {
	if k.locked {
		return tpm2.AuthHandle{}, &Error{Op: "TPM2_StartAuthSession", Err: errors.New("key has an authorization value: see Key.WithAuth")}
	}
	s, err := t.authSession(ctx, k.auth, append(use, o)...)
	return o.authorized(s), err
}

// spent gives up an HMAC session of one command if the command failed, since
// the TPM ends it only after success.
func (t *TPM) spent(s tpm2.Session, err error) error {
	if hmac, ok := s.(*session); ok && err != nil {
		t.stray = append(t.stray, hmac.handle)
	}
	return err
}
