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

// An EK is an endorsement key, as [TPM.EKs] or [DefaultEK] returns it. It is not
// to be changed.
type EK struct {
	// Public is the public key, an *[rsa.PublicKey] or *[ecdsa.PublicKey].
	Public crypto.PublicKey

	// PublicArea is the key's TPMT_PUBLIC.
	PublicArea []byte

	// Handle is the persistent handle of the key. It is 0 if the key is not
	// persistent and is made from its template each time it is used.
	Handle uint32

	// CertificateIndex is the NV index that the TCG assigns to the certificate of
	// such a key, or 0 if it assigns none. A certificate need not be there.
	CertificateIndex uint32

	template []byte // TPMT_PUBLIC it was made from, if Handle is 0; nil for the default
	assumed  bool   // Handle is the usual one; whether the key is there is not known
}

// DefaultEK returns the endorsement key with the given public key, such as that of
// its certificate. It asks no TPM, which saves commands. Instead it assumes that
// the key was made from the TCG's default template and that, in a TPM with a
// persistent RSA storage key, the key is persistent at its usual handle.
//
// If that is wrong, [TPM.ActivateCredential] fails, because the name of the key is
// part of what it authenticates. Then, or if the TPM has an EK template or nonce
// of its own in NV memory, take the key from [TPM.EKs].
//
// pub is an *[rsa.PublicKey] of 2048, 3072 or 4096 bits or an *[ecdsa.PublicKey] on
// P-256, P-384 or P-521. The error, for any other key, is an [*Error].
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

// EKs returns an iterator over the endorsement keys that the TPM holds or can make:
//
//   - RSA 2048, P-256 and P-384 (templates L-1, L-2 and H-3 of the TCG EK
//     Credential Profile),
//   - those of the other templates (H-1, H-2, H-4, H-6 and H-7; not H-5, which is
//     SM2) for which the TPM has a certificate or a template in NV memory,
//   - other persistent keys in the range for endorsement keys, 0x81010000 to
//     0x810100FF, of any size that [PublicKey] accepts.
//
// Kinds that the TPM cannot make are left out.
//
// A key of a template is the persistent key at the usual handle if its public area
// fits the template. Otherwise it is made from the template in NV memory or, if
// there is none, the default one, with the nonce in NV memory if there is one. It
// is made only when the loop asks for it, so a loop that stops after the first key
// costs few commands. A template or nonce in NV memory that is malformed or cannot
// be read is ignored: whether a key is the one that the maker meant is for its
// certificate to say.
//
// The iterator yields either a key or an error, and ends after an error. The error
// wraps an [*Error], and the error of ctx if that ended first. A TPM without any
// endorsement key yields nothing.
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

// kind returns the endorsement key of a kind, or nil if the TPM cannot make it.
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

// has reports whether any of the NV indexes is defined.
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

// others yields the persistent endorsement keys that are not in s.seen.
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

// otherEK returns the endorsement key with a public area, or nil if that is not
// one of an endorsement key that can be used.
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

// template returns the template that this TPM has for a kind: the one in NV memory
// or the default one, with the nonce in NV memory.
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

// passOver logs that an NV index is ignored.
func (s *ekSearch) passOver(ctx context.Context, index uint32, why any) {
	if l := s.tpm.Logger; l != nil {
		l.DebugContext(ctx, "endorsement key: NV index passed over", "index", index, "why", why)
	}
}

// read returns the contents of an NV index, or nil if it is not defined or the TPM
// refuses to have it read.
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

// createEK makes and loads an endorsement key. If the hierarchy has an
// authorization value, that is used in a session salted to the storage key.
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

// loadEK returns ek, and makes it from its template if it is not persistent, or if
// its handle is only assumed and mk is true.
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

// defaultTemplate returns the default template from which an endorsement key was
// made.
func defaultTemplate(area []byte) ([]byte, error) {
	for _, kind := range ekKinds {
		if a := kind.template(); sameTemplate(area, *a) {
			return a.marshal(), nil
		}
	}
	return nil, &Error{Op: "EK", Err: errors.New("key was not made from a default template")}
}
