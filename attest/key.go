package attest

import (
	"bytes"
	"context"
	"crypto"
	"fmt"
	"slices"

	"github.com/google/go-tpm/tpm2"

	"github.com/whiteglove/whiteglove/internal/misuse"
)

// A Key is a key of a TPM: its public area and its private part, wrapped
// (encrypted) by its parent in the TPM. It implements [crypto.Signer] and
// [crypto.Decrypter] as far as its usage allows. Its methods may be called by
// several goroutines at once. Slices that they return belong to the caller. The
// methods of a nil Key return nil or an error.
//
// A Key that signs can be the PrivateKey of a [crypto/tls.Certificate]. For an RSA
// key in TLS 1.3, the TPM must make PSS salts as long as the hash, which Sign
// checks. TLS 1.2 servers refuse an ECC key that has a Decrypt method: hide the
// method with struct{ crypto.Signer }{key}.
type Key struct {
	tpm      *TPM
	pub      crypto.PublicKey
	area     []byte // TPMT_PUBLIC
	attrs    uint32
	name     []byte
	private  []byte // contents of the TPM2B_PRIVATE
	parent   uint32 // persistent handle or TPM_RH_OWNER, as in key files
	under    []byte // name of the parent, nil if not known
	creation *Statement
	auth     []byte          // authorization value
	locked   bool            // it has an authorization value that is not known
	ctx      context.Context // of Sign and Decrypt, or nil
}

// Public returns the public key, an *[rsa.PublicKey] or *[ecdsa.PublicKey].
func (k *Key) Public() crypto.PublicKey {
	if k == nil {
		return nil
	}
	return k.pub
}

// PublicArea returns the key's TPMT_PUBLIC.
func (k *Key) PublicArea() []byte {
	if k == nil {
		return nil
	}
	return slices.Clone(k.area)
}

// Name returns the key's TPM name, as the function [Name] does.
func (k *Key) Name() []byte {
	if k == nil {
		return nil
	}
	return slices.Clone(k.name)
}

// Creation returns the TPM's statement on how it created the key
// (TPM2_CertifyCreation), signed by the key itself, with an empty nonce. It is nil
// for keys that are not [Attest] keys, and for those that another tool made.
func (k *Key) Creation() *Statement {
	if k == nil {
		return nil
	}
	return k.creation.clone()
}

// WithAuth returns a copy of the key that is used with the given authorization
// value. [TPM.LoadKey] returns a key without its value, so a key that was made with
// one, by [Template].Auth or by another tool, cannot be used before. nil is the
// empty value, for tools whose key files do not say that a key has no other, or say
// the opposite, as those of tpm2_encodeobject 5.4.
//
// The value never crosses the bus: it goes into the HMAC of a salted session of
// its own, which costs one more command for each use. Whether it is right shows at
// the first use. The TPM refuses a wrong value with TPM_RC_BAD_AUTH or, for a key
// without the attribute noDA, with TPM_RC_AUTH_FAIL, which it counts: after a
// number of them it locks itself for a time.
func (k *Key) WithAuth(auth []byte) *Key {
	if k == nil {
		return nil
	}
	c := *k
	c.auth, c.locked = slices.Clone(auth), false
	return &c
}

// newKey returns the key with the given public area.
func (t *TPM) newKey(area, private []byte, parent uint32) (*Key, error) {
	a, err := parseArea(area)
	if err != nil {
		return nil, err
	}
	pub, err := a.key()
	if err != nil {
		return nil, err
	}
	name, err := a.name(area)
	if err != nil {
		return nil, err
	}
	return &Key{tpm: t, pub: pub, area: area, attrs: a.attributes, name: name, private: private, parent: parent}, nil
}

// role returns the place of the key in the order of eviction.
func (k *Key) role() role {
	if k.attrs&attrRestricted != 0 {
		return roleAIK
	}
	return roleKey
}

// load returns k as an object, and loads it if it is neither loaded nor persistent. The objects in use
// are not evicted for it.
func (t *TPM) load(ctx context.Context, k *Key, use ...*object) (*object, error) {
	if k.tpm != t {
		return nil, &Error{Op: "TPM2_Load", Err: misuse.Errorf("the key was made or loaded with another attest.TPM: load it with this one")}
	}
	if o := t.find(k.name); o != nil {
		return o, nil
	}
	parent, err := t.parent(ctx, k.parent, use...)
	if err != nil {
		return nil, err
	}
	if k.under != nil && !bytes.Equal(k.under, parent.name) {
		// This is the TPM's own answer, without asking it.
		err := fmt.Errorf("%w: the key was made under another storage key", tpm2.TPMRCIntegrity)
		return nil, &Error{Op: "TPM2_Load", RC: tpm2.TPMRCIntegrity, Err: err}
	}
	if o, err := t.persistentKey(ctx, k, use...); o != nil || err != nil {
		return o, err
	}
	var rsp *tpm2.LoadResponse
	// The next command may use the key with the persistent ones among those in use.
	err = t.withSlots(ctx, 1+max(parent.borrows(), borrowed(use...)), func() error {
		s, err := t.protect(ctx, parent, true, use...)
		if err != nil {
			return err
		}
		h, err := t.parentAuth(ctx, parent, use...)
		if err != nil {
			return err
		}
		rsp, err = run(ctx, t, tpm2.Load{
			ParentHandle: h,
			InPrivate:    tpm2.TPM2BPrivate{Buffer: k.private},
			InPublic:     tpm2.BytesAs2B[tpm2.TPMTPublic](k.area),
		}, s)
		return t.spent(h.Auth, err)
	}, append(use, parent)...)
	if err != nil {
		return nil, err
	}
	o := &object{handle: rsp.ObjectHandle, area: k.area, name: k.name, role: k.role()}
	t.loaded = append(t.loaded, o)
	if !bytes.Equal(rsp.Name.Buffer, k.name) {
		return nil, &Error{Op: "TPM2_Load", Err: errOtherKey}
	}
	return o, nil
}
