package attest

import (
	"bytes"
	"context"
	"errors"
	"slices"

	"github.com/google/go-tpm/tpm2"
)

// CreateKey makes a key that cannot leave the TPM. Its parent is t.StorageKey or, if
// that is 0, the persistent storage root key 0x81000001 if the TPM has one made from a TCG template, else the
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
		auth := slices.Clone(tmpl.Auth)
		switch {
		case tmpl.Usage == Attest:
			k, err = t.createAIK(ctx, template, auth)
		case tmpl.Unloaded:
			k, err = t.createUnloaded(ctx, template, auth)
		default:
			k, err = t.create(ctx, template, auth)
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

// createUnloaded makes a key and does not load it.
func (t *TPM) createUnloaded(ctx context.Context, template *area, auth []byte) (*Key, error) {
	parent, err := t.newParent(ctx)
	if err != nil {
		return nil, err
	}
	k, _, err := t.createWrapped(ctx, parent, template, auth)
	return k, err
}

func (t *TPM) createLoaded(ctx context.Context, parent *object, template *area, auth []byte) (*Key, error) {
	var rsp *tpm2.CreateLoadedResponse
	err := t.withSlots(ctx, 1+parent.borrows(), func() error {
		s, err := t.protect(ctx, parent, true)
		if err != nil {
			return err
		}
		h, err := t.parentAuth(ctx, parent)
		if err != nil {
			return err
		}
		rsp, err = run(ctx, t, tpm2.CreateLoaded{
			ParentHandle: h,
			InSensitive:  sensitive(auth),
			InPublic:     tpm2.TPM2BTemplate{Buffer: template.marshal()},
		}, s)
		return t.spent(h.Auth, err)
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
		h, err := t.parentAuth(ctx, parent)
		if err != nil {
			return err
		}
		rsp, err = run(ctx, t, tpm2.Create{
			ParentHandle: h,
			InSensitive:  sensitive(auth),
			InPublic:     tpm2.BytesAs2B[tpm2.TPMTPublic](template.marshal()),
		}, s)
		return t.spent(h.Auth, err)
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
