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

// A Key is a key in a TPM: its public area, its name, and its private part as
// wrapped by its parent. It implements [crypto.Signer] and [crypto.Decrypter]
// as far as its usage allows. Its methods may be called by several goroutines.
//
// A Key that signs can be the PrivateKey of a [crypto/tls.Certificate], with RSA in TLS
// 1.3 only if the TPM's PSS salts are as long as the hash, which Sign checks. A
// server of TLS 1.2 refuses ECC keys that have a Decrypt method at all: hide it
// there with struct{ crypto.Signer }{key}.
type Key struct {
	tpm      *TPM
	pub      crypto.PublicKey
	area     []byte // TPMT_PUBLIC
	attrs    uint32
	name     []byte
	private  []byte // contents of the TPM2B_PRIVATE
	parent   uint32 // as in key files
	under    []byte // name of the parent, nil if not known
	creation *Statement
	auth     []byte          // authorization value
	locked   bool            // it has one that we do not know
	ctx      context.Context // of Sign and Decrypt, or nil
}

// Public returns the public key, an *rsa.PublicKey or *ecdsa.PublicKey.
func (k *Key) Public() crypto.PublicKey { return k.pub }

// PublicArea returns the key's TPMT_PUBLIC, without size prefix.
func (k *Key) PublicArea() []byte { return slices.Clone(k.area) }

// Name returns the key's TPM name.
func (k *Key) Name() []byte { return slices.Clone(k.name) }

// Creation returns the TPM's word on how an Attest key was made, signed by the
// key itself with empty qualifying data, or nil for other keys.
func (k *Key) Creation() *Statement { return k.creation.clone() }

// WithAuth returns the key, to be used with its authorization value: one that
// LoadKey returned for a key made with [Template].Auth or by another tool. A nil
// auth is the empty value, which some tools do not declare as such. The
// value never crosses the bus: it goes into the HMAC of a salted session of its
// own for each use, which costs a command. A wrong one is noticed at the first
// use, with TPM_RC_BAD_AUTH, or, for a key without noDA, with TPM_RC_AUTH_FAIL:
// the TPM counts those and locks itself after some.
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

// role returns the key's order of eviction.
func (k *Key) role() role {
	if k.attrs&attrRestricted != 0 {
		return roleAIK
	}
	return roleKey
}

// CreateKey makes a key that never leaves the TPM, under the persistent storage
// root key 0x81000001 if the TPM has one made from a TCG template, else under
// the P-256 storage key of the owner hierarchy, which is made for it and not
// made persistent. An Attest key comes with its creation statement.
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

// create makes a key and loads it, in one command if the TPM has it.
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

var errOtherKey = errors.New("the TPM made another key than asked for")

// createWrapped makes a key and does not load it.
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

// made returns the key that the TPM says it made, if it is what was asked for.
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

// createAIK makes an attestation key and has it state its own creation.
// TPM2_CreateLoaded would not give the creation data.
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

// load returns k, loaded if it was not. The objects in use are not evicted for
// it.
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
		// As the TPM would say, if it were asked.
		err := fmt.Errorf("the TPM has another storage key than the one the key was made under: %w", tpm2.TPMRCIntegrity)
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
