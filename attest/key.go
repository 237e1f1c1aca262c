package attest

import (
	"bytes"
	"context"
	"crypto"
	"errors"
	"fmt"
	"slices"

	"github.com/google/go-tpm/tpm2"
)

// A Key is a key of a TPM: its public area and its private part, wrapped
// (encrypted) by its parent in the TPM. It implements [crypto.Signer] and
// [crypto.Decrypter] as far as its usage allows. Its methods may be called by
// several goroutines at once. Slices that they return belong to the caller.
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
func (k *Key) Public() crypto.PublicKey { return k.pub }

// PublicArea returns the key's TPMT_PUBLIC.
func (k *Key) PublicArea() []byte { return slices.Clone(k.area) }

// Name returns the key's TPM name, as the function [Name] does.
func (k *Key) Name() []byte { return slices.Clone(k.name) }

// Creation returns the TPM's statement on how it created the key
// (TPM2_CertifyCreation), signed by the key itself, with an empty nonce. It is nil
// for keys that are not [Attest] keys, and for those that another tool made.
func (k *Key) Creation() *Statement { return k.creation.clone() }

// WithAuth returns a copy of the key that is used with the given authorization
// value. [TPM.LoadKey] returns a key without its value, so a key that was made with
// one, by [Template].Auth or by another tool, cannot be used before. nil is the
// empty value, for tools whose key files do not say that a key has no other.
//
// The value never crosses the bus: it goes into the HMAC of a salted session of
// its own, which costs one more command for each use. Whether it is right shows at
// the first use. The TPM refuses a wrong value with TPM_RC_BAD_AUTH or, for a key
// without the attribute noDA, with TPM_RC_AUTH_FAIL, which it counts: after a
// number of them it locks itself for a time.
func (k *Key) WithAuth(auth []byte) *Key {
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

// CreateKey makes a key that cannot leave the TPM. Its parent is the persistent
// storage root key 0x81000001 if the TPM has one made from a TCG template, else the
// P-256 storage key of the owner hierarchy, which is made for it and not made
// persistent. An [Attest] key gets its creation statement, see [Key.Creation].
// Making an RSA key takes a chip seconds.
//
// The error wraps an [*Error], and the error of ctx if that ended first. It wraps
// [ErrProof] if the creation statement does not hold.
func (t *TPM) CreateKey(ctx context.Context, tmpl Template) (*Key, error) {
	template, err := tmpl.area()
	if err != nil {
		return nil, &Error{Op: "CreateKey", Err: err}
	}
	var k *Key
	err = t.do(ctx, func() (err error) {
		if tmpl.Usage == Attest {
			k, err = t.createAIK(ctx, template, slices.Clone(tmpl.Auth))
		} else {
			k, err = t.create(ctx, template, slices.Clone(tmpl.Auth))
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return k, nil
}

// create makes a key and loads it, with one command if the TPM has
// TPM2_CreateLoaded and the system lets it through.
func (t *TPM) create(ctx context.Context, template *area, auth []byte) (*Key, error) {
	parent, err := t.newParent(ctx)
	if err != nil {
		return nil, err
	}
	if !t.noCreateLoaded {
		k, err := t.createLoaded(ctx, parent, template, auth)
		if !hasRC(err, tpm2.TPMRCCommandCode) && (err == nil || tbsCode(err) != tbsBlocked) {
			return k, err
		}
		t.noCreateLoaded = true
	}
	k, _, err := t.createWrapped(ctx, parent, template, auth)
	if err != nil {
		return nil, err
	}
	_, err = t.load(ctx, k)
	return k, err
}

func (t *TPM) createLoaded(ctx context.Context, parent *object, template *area, auth []byte) (*Key, error) {
	var rsp *tpm2.CreateLoadedResponse
	err := t.withSlots(ctx, 1+parent.borrows(), func() error {
		s, err := t.protect(ctx, parent, true)
		if err != nil {
			return err
		}
		rsp, err = run(ctx, t, tpm2.CreateLoaded{
			ParentHandle: parent.password(),
			InSensitive:  sensitive(auth),
			InPublic:     tpm2.TPM2BTemplate{Buffer: template.marshal()},
		}, s)
		return err
	}, parent)
	if err != nil {
		return nil, err
	}
	k, err := t.made(template, parent, rsp.OutPublic.Bytes(), rsp.OutPrivate.Buffer)
	if err != nil || !bytes.Equal(k.name, rsp.Name.Buffer) {
		t.stray = append(t.stray, rsp.ObjectHandle)
		return nil, &Error{Op: "TPM2_CreateLoaded", Err: errOtherKey}
	}
	k.auth = auth
	t.loaded = append(t.loaded, &object{handle: rsp.ObjectHandle, area: k.area, name: k.name, role: k.role()})
	return k, nil
}

// sensitive returns the secret part of a key to be made. It is the first
// parameter of the command, so it goes encrypted.
func sensitive(auth []byte) tpm2.TPM2BSensitiveCreate {
	return tpm2.TPM2BSensitiveCreate{Sensitive: &tpm2.TPMSSensitiveCreate{UserAuth: tpm2.TPM2BAuth{Buffer: auth}}}
}

var errOtherKey = errors.New("the TPM made a key other than the one asked for")

// createWrapped makes a key and does not load it (TPM2_Create).
func (t *TPM) createWrapped(ctx context.Context, parent *object, template *area, auth []byte) (*Key, *tpm2.CreateResponse, error) {
	var rsp *tpm2.CreateResponse
	err := t.withSlots(ctx, 1+parent.borrows(), func() error {
		s, err := t.protect(ctx, parent, true)
		if err != nil {
			return err
		}
		rsp, err = run(ctx, t, tpm2.Create{
			ParentHandle: parent.password(),
			InSensitive:  sensitive(auth),
			InPublic:     tpm2.BytesAs2B[tpm2.TPMTPublic](template.marshal()),
		}, s)
		return err
	}, parent)
	if err != nil {
		return nil, nil, err
	}
	k, err := t.made(template, parent, rsp.OutPublic.Bytes(), rsp.OutPrivate.Buffer)
	if err != nil {
		return nil, nil, &Error{Op: "TPM2_Create", Err: errOtherKey}
	}
	k.auth = auth
	return k, rsp, nil
}

// made returns the key that the TPM says it made, or an error if its public area
// does not fit the template.
func (t *TPM) made(template *area, parent *object, area, private []byte) (*Key, error) {
	k, err := t.newKey(area, private, parent.keyFile)
	if err != nil {
		return nil, err
	}
	k.under = parent.name
	a, err := parseArea(area)
	if err != nil {
		return nil, err
	}
	if !a.like(template) {
		return nil, errOtherKey
	}
	return k, nil
}

// createAIK makes an attestation key and its creation statement. It does not use
// TPM2_CreateLoaded, which returns no creation data.
func (t *TPM) createAIK(ctx context.Context, template *area, auth []byte) (*Key, error) {
	parent, err := t.newParent(ctx)
	if err != nil {
		return nil, err
	}
	k, made, err := t.createWrapped(ctx, parent, template, auth)
	if err != nil {
		return nil, err
	}
	o, err := t.load(ctx, k)
	if err != nil {
		return nil, err
	}
	s, err := t.protect(ctx, parent, true, o)
	if err != nil {
		return nil, err
	}
	h, err := t.authorize(ctx, k, o, parent)
	if err != nil {
		return nil, err
	}
	rsp, err := run(ctx, t, tpm2.CertifyCreation{
		SignHandle:     h,
		ObjectHandle:   o.named(),
		CreationHash:   made.CreationHash,
		InScheme:       tpm2.TPMTSigScheme{Scheme: tpm2.TPMAlgNull},
		CreationTicket: made.CreationTicket,
	}, s)
	if err := t.spent(h.Auth, err); err != nil {
		return nil, err
	}
	k.creation = &Statement{
		PublicArea:   k.area,
		Attest:       rsp.CertifyInfo.Bytes(),
		Signature:    tpm2.Marshal(rsp.Signature),
		CreationData: made.CreationData.Bytes(),
	}
	if err := k.creation.Verify(k.pub, nil); err != nil {
		return nil, &Error{Op: "TPM2_CertifyCreation", Err: err}
	}
	return k, nil
}

// load returns k as an object, and loads it if it is not loaded. The objects in use
// are not evicted for it.
func (t *TPM) load(ctx context.Context, k *Key, use ...*object) (*object, error) {
	if k.tpm != t {
		return nil, &Error{Op: "TPM2_Load", Err: errors.New("key of another TPM")}
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
		err := fmt.Errorf("the TPM has a storage key other than the one under which the key was made: %w", tpm2.TPMRCIntegrity)
		return nil, &Error{Op: "TPM2_Load", RC: tpm2.TPMRCIntegrity, Err: err}
	}
	var rsp *tpm2.LoadResponse
	err = t.withSlots(ctx, 1+parent.borrows(), func() error {
		s, err := t.protect(ctx, parent, true, use...)
		if err != nil {
			return err
		}
		rsp, err = run(ctx, t, tpm2.Load{
			ParentHandle: parent.password(),
			InPrivate:    tpm2.TPM2BPrivate{Buffer: k.private},
			InPublic:     tpm2.BytesAs2B[tpm2.TPMTPublic](k.area),
		}, s)
		return err
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
