package attest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"

	"github.com/google/go-tpm/tpm2"
)

// EK returns the first endorsement key of [TPM.EKs], which is the one of RSA 2048 in
// most TPMs. Use EKs for a key of a certain kind, and FindEK of package prove for one
// that has a certificate.
//
// The error wraps an [*Error], and the error of ctx if that ended first. It wraps
// [ErrNotFound] if the TPM has no endorsement key that opens credentials, and makes
// none.
func (t *TPM) EK(ctx context.Context) (*EK, error) {
	for ek, err := range t.EKs(ctx) {
		return ek, err
	}
	return nil, &Error{Op: "EK", Err: fmt.Errorf("%w: there is no endorsement key, and the TPM makes none", ErrNotFound)}
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
// endorsement key yields nothing. If the only keys in such places are ones that sign,
// with which a TPM opens no credential, the error says so and wraps [ErrNotFound].
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

// unfitKey returns an error if a public area is that of a key in an endorsement key's
// place that a TPM opens no credential with.
func unfitKey(b []byte) error {
	if err := canOpen(b); err != nil {
		return &Error{Op: "EKs", Err: fmt.Errorf("%w: %w", ErrNotFound, err)}
	}
	return nil
}

// An ekSearch is one walk over the endorsement keys.
type ekSearch struct {
	tpm     *TPM
	indexes []uint32 // NV indexes there are, if listed
	listed  bool
	seen    [][]byte // public areas of the keys that were returned
	unfit   error    // about a key that cannot be used; the search ends with it if it finds no other
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
	if err := unfitKey(o.area); err != nil {
		s.unfit = err
		return nil, nil
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
		if hasRC(err, tpm2.TPMRCHandle) {
			continue // it was evicted since
		}
		if err != nil {
			yield(nil, err)
			return
		}
		if s.unfit == nil {
			s.unfit = unfitKey(b)
		}
		known := slices.ContainsFunc(s.seen, func(a []byte) bool { return bytes.Equal(a, b) })
		ek := otherEK(b, h)
		if ek == nil || known {
			continue
		}
		s.seen = append(s.seen, b)
		if !yield(ek, nil) {
			return
		}
	}
	if len(s.seen) == 0 && s.unfit != nil {
		yield(nil, s.unfit)
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
