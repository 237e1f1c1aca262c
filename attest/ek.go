package attest

import (
	"bytes"
	"context"
	"crypto"
	"errors"
	"fmt"
	"iter"

	"github.com/google/go-tpm/tpm2"
)

// An EK is an endorsement key.
type EK struct {
	Public           crypto.PublicKey // *rsa.PublicKey or *ecdsa.PublicKey
	Area             []byte           // TPMT_PUBLIC, without size prefix
	Handle           uint32           // persistent handle, 0 if made from its template each time
	CertificateIndex uint32           // NV index that the TCG assigns to its certificate, which need not be there

	template []byte // TPMT_PUBLIC it was made from, if Handle is 0; nil for the default
}

// An ekKind is one of the TCG's default endorsement keys (EK Credential
// Profile 2.4, 2.2.1.4 and B.3).
type ekKind struct {
	template    func() *area
	handles     []uint32 // where systems put it
	certificate uint32   // NV indexes
	nonce       uint32   // 0 for none
	templateNV  uint32
}

var ekKinds = []ekKind{
	{ekL1, []uint32{0x81010001}, 0x01C00002, 0x01C00003, 0x01C00004},
	{ekL2, []uint32{0x81010002, 0x8101000A}, 0x01C0000A, 0x01C0000B, 0x01C0000C},
	{ekH3, []uint32{0x81010016}, 0x01C00016, 0, 0x01C00017},
}

// EKs returns the endorsement keys the TPM holds or can make, one by one: RSA
// 2048 (template L-1 of the TCG's EK Credential Profile), P-256 (L-2), P-384
// (H-3). Each is the persistent key at the usual handle if its public area is
// of the template, else made from the template in NV memory or the default
// one, with the nonce in NV memory if there is one. It is made only when the
// loop asks for it, so a caller that needs the first and stops has spent few
// commands. Kinds the TPM cannot make are left out. After an error there are no
// more.
func (t *TPM) EKs(ctx context.Context) iter.Seq2[*EK, error] {
	return func(yield func(*EK, error) bool) {
		var indexes map[uint32]bool
		for i := range ekKinds {
			var ek *EK
			err := t.do(ctx, func() (err error) {
				ek, err = t.ek(ctx, &ekKinds[i], &indexes)
				return err
			})
			if err != nil {
				yield(nil, err)
				return
			}
			if ek != nil && !yield(ek, nil) {
				return
			}
		}
	}
}

// ek returns one endorsement key, or nil if the TPM cannot make it. indexes
// are the NV indexes there are, found out when first needed.
func (t *TPM) ek(ctx context.Context, kind *ekKind, indexes *map[uint32]bool) (*EK, error) {
	for _, h := range kind.handles {
		area, _, err := t.readPublic(ctx, h)
		if err != nil && !hasRC(err, tpm2.TPMRCHandle) {
			return nil, err
		}
		if err == nil && sameTemplate(area, kind.template()) {
			return newEK(area, h, kind.certificate, nil)
		}
	}
	if *indexes == nil {
		var err error
		if *indexes, err = t.ekIndexes(ctx); err != nil {
			return nil, err
		}
	}
	template, err := t.ekTemplate(ctx, kind, *indexes)
	if err != nil {
		return nil, err
	}
	o, err := t.createEK(ctx, template)
	if hasRC(err, tpm2.TPMRCAsymmetric, tpm2.TPMRCCurve, tpm2.TPMRCKeySize, tpm2.TPMRCHash, tpm2.TPMRCSymmetric,
		tpm2.TPMRCType, tpm2.TPMRCKDF, tpm2.TPMRCScheme, tpm2.TPMRCValue) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return newEK(o.area, 0, kind.certificate, template)
}

func newEK(area []byte, handle, certificate uint32, template []byte) (*EK, error) {
	pub, err := PublicKey(area)
	if err != nil {
		return nil, err
	}
	return &EK{Public: pub, Area: area, Handle: handle, CertificateIndex: certificate, template: template}, nil
}

// sameTemplate reports whether a key is of the template, but for the unique
// part.
func sameTemplate(key []byte, template *area) bool {
	a, err := parseArea(key)
	if err != nil {
		return false
	}
	a.n, a.x, a.y = template.n, template.x, template.y
	if a.exponent == 65537 {
		a.exponent = 0
	}
	return bytes.Equal(a.marshal(), template.marshal())
}

// ekIndexes returns the NV indexes that matter for making endorsement keys.
func (t *TPM) ekIndexes(ctx context.Context) (map[uint32]bool, error) {
	const first, last = 0x01C00002, 0x01C00017
	rsp, err := run(ctx, t, tpm2.GetCapability{
		Capability:    tpm2.TPMCapHandles,
		Property:      first,
		PropertyCount: last - first + 1,
	})
	if err != nil {
		return nil, err
	}
	list, err := rsp.CapabilityData.Data.Handles()
	if err != nil {
		return nil, &Error{Op: "TPM2_GetCapability", Err: err}
	}
	indexes := make(map[uint32]bool)
	for _, h := range list.Handle {
		indexes[uint32(h)] = true
	}
	return indexes, nil
}

// ekTemplate returns the template of a kind for this TPM.
func (t *TPM) ekTemplate(ctx context.Context, kind *ekKind, indexes map[uint32]bool) ([]byte, error) {
	a := kind.template()
	if indexes[kind.templateNV] {
		b, err := t.readNV(ctx, kind.templateNV)
		if err != nil && !errors.Is(err, ErrNotFound) {
			return nil, err
		}
		if err == nil {
			nv, err := parseArea(b)
			if err != nil || nv.typ != a.typ {
				return nil, &Error{Op: "EKs", Err: fmt.Errorf("template in NV index %#x: %w", kind.templateNV, errArea)}
			}
			a = &nv
		}
	}
	if indexes[kind.nonce] {
		nonce, err := t.readNV(ctx, kind.nonce)
		if err != nil && !errors.Is(err, ErrNotFound) {
			return nil, err
		}
		if err == nil && !a.setNonce(nonce) {
			return nil, &Error{Op: "EKs", Err: fmt.Errorf("nonce in NV index %#x has %d bytes", kind.nonce, len(nonce))}
		}
	}
	return a.marshal(), nil
}

// setNonce sets the unique part of a template from a nonce.
func (a *area) setNonce(nonce []byte) bool {
	if a.typ == algRSA {
		size := int(a.bits) / 8
		if len(nonce) > size {
			return false
		}
		a.n = make([]byte, size)
		copy(a.n, nonce)
		return true
	}
	_, size := curveOf(a.curve)
	if len(nonce) > size {
		return false
	}
	a.x, a.y = make([]byte, size), make([]byte, size)
	copy(a.x, nonce)
	return true
}

// createEK makes and loads an endorsement key. Where the hierarchy has an
// authorization value, that goes in a session salted to the storage key.
func (t *TPM) createEK(ctx context.Context, template []byte) (*object, error) {
	if len(t.EndorsementAuth) > 0 {
		if _, err := t.newParent(ctx); err != nil {
			return nil, err
		}
	}
	o, err := t.createPrimary(ctx, tpm2.TPMRHEndorsement, t.EndorsementAuth, template)
	if err != nil {
		return nil, err
	}
	o.role = roleEK
	return o, nil
}

// loadEK returns ek, made from its template if it is not persistent.
func (t *TPM) loadEK(ctx context.Context, ek *EK) (*object, error) {
	name, err := Name(ek.Area)
	if err != nil {
		return nil, err
	}
	if ek.Handle != 0 {
		return &object{handle: tpm2.TPMHandle(ek.Handle), area: ek.Area, name: name, role: roleEK}, nil
	}
	if o := t.find(name); o != nil {
		return o, nil
	}
	template := ek.template
	if template == nil {
		if template, err = defaultTemplate(ek.Area); err != nil {
			return nil, err
		}
	}
	o, err := t.createEK(ctx, template)
	if err != nil {
		return nil, err
	}
	if !bytes.Equal(o.name, name) {
		return nil, &Error{Op: "TPM2_CreatePrimary", Err: errors.New("the TPM has another endorsement key")}
	}
	return o, nil
}

// defaultTemplate returns the default template that an endorsement key was
// made from.
func defaultTemplate(area []byte) ([]byte, error) {
	for _, kind := range ekKinds {
		if a := kind.template(); sameTemplate(area, a) {
			return a.marshal(), nil
		}
	}
	return nil, &Error{Op: "EK", Err: errors.New("not made from a default template")}
}
