package attest

import (
	"bytes"
	"context"
	"crypto"
	"errors"
	"iter"
	"slices"

	"github.com/google/go-tpm/tpm2"
)

// An EK is an endorsement key.
type EK struct {
	Public           crypto.PublicKey // *rsa.PublicKey or *ecdsa.PublicKey
	PublicArea       []byte           // TPMT_PUBLIC, without size prefix
	Handle           uint32           // persistent handle, 0 if made from its template each time
	CertificateIndex uint32           // NV index that the TCG assigns to its certificate, which need not be there; 0 if it assigns none

	template []byte // TPMT_PUBLIC it was made from, if Handle is 0; nil for the default
	assumed  bool   // Handle is where it usually is
}

// DefaultEK returns the endorsement key with the given public key, as known
// from its certificate, on the assumption that it was made from the TCG's
// default template and, where an RSA storage key is persistent, that it is
// persistent at its usual handle. No TPM is asked, which saves commands; but
// [TPM.ActivateCredential] fails if the TPM has another endorsement key there,
// since the name of the key is part of what it authenticates. If it says that,
// or the TPM has an EK template or nonce of its own, take the key from
// [TPM.EKs].
func DefaultEK(pub crypto.PublicKey) (*EK, error) {
	a, kind, err := defaultArea(pub)
	if err != nil {
		return nil, &Error{Op: "DefaultEK", Err: err}
	}
	ek := &EK{Public: pub, PublicArea: a.marshal(), CertificateIndex: kind.certificate, template: kind.template().marshal()}
	if len(kind.handles) > 0 {
		ek.Handle, ek.assumed = kind.handles[0], true
	}
	return ek, nil
}

// EKs returns the endorsement keys the TPM holds or can make, one by one: RSA
// 2048 (template L-1 of the TCG's EK Credential Profile), P-256 (L-2), P-384
// (H-3), then those of the other templates (H-1, H-2, H-4, H-6, H-7) for which
// the TPM has a certificate or a template in NV memory, then what else is
// persistent in the range for endorsement keys, 0x81010000 to 0x810100FF, with
// whatever key and size. H-5, SM2, is left out.
//
// Each is the persistent key at the usual handle if its public area is of the
// template, else made from the template in NV memory or the default one, with
// the nonce in NV memory if there is one. It is made only when the loop asks for
// it, so a caller that needs the first and stops has spent few commands. Kinds
// the TPM cannot make are left out. A template or nonce in NV memory that is
// malformed or that may not be read is passed over: whether the key is the one
// its maker meant, its certificate says. After an error there are no more.
func (t *TPM) EKs(ctx context.Context) iter.Seq2[*EK, error] {
	return func(yield func(*EK, error) bool) {
		s := ekSearch{tpm: t}
		for i := range ekKinds {
			var ek *EK
			err := t.do(ctx, func() (err error) {
				ek, err = s.kind(ctx, &ekKinds[i])
				return err
			})
			if err != nil {
				yield(nil, err)
				return
			}
			if ek == nil {
				continue
			}
			s.seen = append(s.seen, ek.PublicArea)
			if !yield(ek, nil) {
				return
			}
		}
		s.others(ctx, yield)
	}
}

// An ekSearch is one walk over the endorsement keys.
type ekSearch struct {
	tpm     *TPM
	indexes []uint32 // NV indexes there are, if listed
	listed  bool
	seen    [][]byte // public areas of the keys that were returned
}

// kind returns one endorsement key, or nil if the TPM cannot make it.
func (s *ekSearch) kind(ctx context.Context, kind *ekKind) (*EK, error) {
	template := kind.template()
	if hashOf(template.nameAlg) == 0 {
		return nil, nil
	}
	if kind.rare {
		if ok, err := s.has(ctx, kind.certificate, kind.templateNV); !ok {
			return nil, err
		}
	}
	for _, h := range kind.handles {
		area, _, err := s.tpm.readPublic(ctx, h)
		if err != nil && !hasRC(err, tpm2.TPMRCHandle) {
			return nil, err
		}
		if err == nil && sameTemplate(area, *template) {
			return newEK(area, h, kind.certificate, nil)
		}
	}
	b, err := s.template(ctx, kind)
	if err != nil {
		return nil, err
	}
	o, err := s.tpm.createEK(ctx, b)
	if hasRC(err, tpm2.TPMRCAsymmetric, tpm2.TPMRCCurve, tpm2.TPMRCKeySize, tpm2.TPMRCHash, tpm2.TPMRCSymmetric,
		tpm2.TPMRCType, tpm2.TPMRCKDF, tpm2.TPMRCScheme, tpm2.TPMRCSize, tpm2.TPMRCValue) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return newEK(o.area, 0, kind.certificate, b)
}

// has reports whether any of the NV indexes is there.
func (s *ekSearch) has(ctx context.Context, indexes ...uint32) (bool, error) {
	if !s.listed {
		var err error
		if s.indexes, err = s.tpm.handles(ctx, 0x01C00002, 0x01C0001F); err != nil {
			return false, err
		}
		s.listed = true
	}
	return slices.ContainsFunc(indexes, func(i uint32) bool { return slices.Contains(s.indexes, i) }), nil
}

// others yields the persistent endorsement keys not seen yet.
func (s *ekSearch) others(ctx context.Context, yield func(*EK, error) bool) {
	t := s.tpm
	var handles []uint32
	err := t.do(ctx, func() (err error) {
		handles, err = t.handles(ctx, 0x81010000, 0x810100FF)
		return err
	})
	if err != nil {
		yield(nil, err)
		return
	}
	for _, h := range handles {
		var b []byte
		err := t.do(ctx, func() (err error) {
			b, _, err = t.readPublic(ctx, h)
			return err
		})
		if err != nil && !hasRC(err, tpm2.TPMRCHandle) {
			yield(nil, err)
			return
		}
		known := slices.ContainsFunc(s.seen, func(a []byte) bool { return bytes.Equal(a, b) })
		if ek := otherEK(b, h); ek != nil && !known && !yield(ek, nil) {
			return
		}
	}
}

// otherEK returns the endorsement key of a public area, or nil if it is none
// that can be used.
func otherEK(b []byte, handle uint32) *EK {
	a, err := parseArea(b)
	if err != nil || !a.isEK() {
		return nil
	}
	ek, err := newEK(b, handle, 0, nil)
	if err != nil {
		return nil
	}
	if kind := kindOf(ek.Public); kind != nil {
		ek.CertificateIndex = kind.certificate
	}
	return ek
}

func newEK(area []byte, handle, certificate uint32, template []byte) (*EK, error) {
	pub, err := PublicKey(area)
	if err != nil {
		return nil, err
	}
	return &EK{Public: pub, PublicArea: area, Handle: handle, CertificateIndex: certificate, template: template}, nil
}

// template returns the template of a kind for this TPM.
func (s *ekSearch) template(ctx context.Context, kind *ekKind) ([]byte, error) {
	a := kind.template()
	b, err := s.read(ctx, kind.templateNV)
	if err != nil {
		return nil, err
	}
	if b != nil {
		if nv, err := parseArea(b); err == nil && nv.typ == a.typ {
			a = &nv
		} else {
			s.passOver(ctx, kind.templateNV, "not a template")
		}
	}
	if kind.nonce == 0 {
		return a.marshal(), nil
	}
	nonce, err := s.read(ctx, kind.nonce)
	if err != nil {
		return nil, err
	}
	if nonce != nil && !a.setNonce(nonce) {
		s.passOver(ctx, kind.nonce, "nonce longer than the key")
	}
	return a.marshal(), nil
}

// passOver tells the log of an NV index that is of no use.
func (s *ekSearch) passOver(ctx context.Context, index uint32, why any) {
	if l := s.tpm.Logger; l != nil {
		l.DebugContext(ctx, "endorsement key: NV index passed over", "index", index, "why", why)
	}
}

// read returns the contents of an NV index, nil if there are none or the TPM
// does not give them away.
func (s *ekSearch) read(ctx context.Context, index uint32) ([]byte, error) {
	if ok, err := s.has(ctx, index); !ok {
		return nil, err
	}
	b, err := s.tpm.readNV(ctx, index)
	var e *Error
	if errors.As(err, &e) && e.RC != 0 && !e.Retryable() {
		s.passOver(ctx, index, err)
		return nil, nil
	}
	return b, err
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
	if a, err := parseArea(template); err != nil || !sameTemplate(o.area, a) {
		return nil, &Error{Op: "TPM2_CreatePrimary", Err: errOtherKey}
	}
	o.role = roleEK
	return o, nil
}

// loadEK returns ek, made from its template if it is not persistent. One whose
// handle is assumed is made, too, if make is true.
func (t *TPM) loadEK(ctx context.Context, ek *EK, mk bool) (*object, error) {
	name, err := Name(ek.PublicArea)
	if err != nil {
		return nil, err
	}
	if ek.Handle != 0 && !(ek.assumed && mk) {
		return &object{handle: tpm2.TPMHandle(ek.Handle), area: ek.PublicArea, name: name, role: roleEK}, nil
	}
	if o := t.find(name); o != nil {
		return o, nil
	}
	template := ek.template
	if template == nil {
		if template, err = defaultTemplate(ek.PublicArea); err != nil {
			return nil, err
		}
	}
	o, err := t.createEK(ctx, template)
	if err != nil {
		return nil, err
	}
	if !bytes.Equal(o.name, name) {
		return nil, &Error{Op: "TPM2_CreatePrimary", Err: errOtherEK}
	}
	return o, nil
}

var errOtherEK = errors.New("the TPM has another endorsement key")

// defaultTemplate returns the default template that an endorsement key was
// made from.
func defaultTemplate(area []byte) ([]byte, error) {
	for _, kind := range ekKinds {
		if a := kind.template(); sameTemplate(area, *a) {
			return a.marshal(), nil
		}
	}
	return nil, &Error{Op: "EK", Err: errors.New("not made from a default template")}
}
