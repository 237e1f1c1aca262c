package attest

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	"errors"
	"slices"

	"github.com/google/go-tpm/tpm2"
)

// A Statement is a TPM's signed word on one of its keys. None of its parts has
// a size prefix.
type Statement struct {
	PublicArea   []byte // TPMT_PUBLIC of the key it is about
	Attest       []byte // TPMS_ATTEST
	Signature    []byte // TPMT_SIGNATURE
	CreationData []byte // TPMS_CREATION_DATA for a creation statement, else nil
}

func (s *Statement) clone() *Statement {
	if s == nil {
		return nil
	}
	return &Statement{
		PublicArea: slices.Clone(s.PublicArea), Attest: slices.Clone(s.Attest),
		Signature: slices.Clone(s.Signature), CreationData: slices.Clone(s.CreationData),
	}
}

// Certify has ak state that key is in the same TPM. The nonce, of at most 64
// bytes, is repeated in the statement.
func (t *TPM) Certify(ctx context.Context, key, ak *Key, nonce []byte) (*Statement, error) {
	err := ak.attests(nonce)
	if err == nil && key == nil {
		err = errNoKey
	}
	if err != nil {
		return nil, &Error{Op: "Certify", Err: err}
	}
	var st *Statement
	err = t.do(ctx, func() error {
		a, err := t.load(ctx, ak)
		if err != nil {
			return err
		}
		o, err := t.load(ctx, key, a)
		if err != nil {
			return err
		}
		s, err := t.sessionFor(ctx, ak, true, a, o)
		if err != nil {
			return err
		}
		st, err = t.certify(ctx, key, ak, o, a, nonce, s)
		return err
	})
	return st, err
}

func (t *TPM) certify(ctx context.Context, key, ak *Key, o, a *object, nonce []byte, s *session) (*Statement, error) {
	subject, err := t.authorize(ctx, key, o, a)
	if err != nil {
		return nil, err
	}
	signer, err := t.authorize(ctx, ak, a, o)
	if err != nil {
		return nil, t.spent(subject.Auth, err)
	}
	rsp, err := run(ctx, t, tpm2.Certify{
		ObjectHandle:   subject,
		SignHandle:     signer,
		QualifyingData: tpm2.TPM2BData{Buffer: nonce},
		InScheme:       tpm2.TPMTSigScheme{Scheme: tpm2.TPMAlgNull},
	}, s)
	if err != nil {
		return nil, t.spent(subject.Auth, t.spent(signer.Auth, err))
	}
	return &Statement{
		PublicArea: key.PublicArea(),
		Attest:     bytes.Clone(rsp.CertifyInfo.Bytes()),
		Signature:  tpm2.Marshal(rsp.Signature),
	}, nil
}

var errNoKey = errors.New("no key")

// attests reports why k cannot sign a statement for a nonce.
func (k *Key) attests(nonce []byte) error {
	if k == nil {
		return errNoKey
	}
	if k.attrs&attrRestricted == 0 || k.attrs&attrSign == 0 {
		return errors.New("not an attestation key")
	}
	if len(nonce) > 64 {
		return errors.New("nonce is longer than 64 bytes")
	}
	return nil
}

// Verify checks that s is about the key in s.PublicArea, was made by the key ak for
// nonce (nil is the same as empty), and that the key is one that cannot leave
// its TPM: it has fixedTPM, fixedParent and sensitiveDataOrigin. If s.Creation
// is not nil, s must be a creation statement about that data. If s is signed by
// the key it is about, that must be a key that signs only what its TPM made,
// since any other could sign what it likes of itself. Keys that [PublicKey]
// refuses are refused, and so are those with a SHA-1 name: the name is all that
// ties s.Attest to s.PublicArea, and another area with the same one could be made.
//
// Verify does not decide whether ak may be believed, nor what the key may be
// used for; see [Attributes]. SHA-1 signatures are accepted, because Windows's
// attestation keys make them. It needs no TPM. Its errors wrap ErrProof.
func (s *Statement) Verify(ak crypto.PublicKey, nonce []byte) error {
	if err := s.verify(ak, nonce); err != nil {
		return &Error{Op: "Verify", Err: proofError{err}}
	}
	return nil
}

// A proofError is a reason for ErrProof.
type proofError struct{ reason error }

func (e proofError) Error() string   { return ErrProof.Error() + ": " + e.reason.Error() }
func (e proofError) Unwrap() []error { return []error{ErrProof, e.reason} }

var errWeakName = errors.New("name is of SHA-1, which does not bind the key")

func (s *Statement) verify(ak crypto.PublicKey, nonce []byte) error {
	if s == nil {
		return errors.New("no statement")
	}
	if err := checkKey(ak); err != nil {
		return err
	}
	a, err := parseArea(s.PublicArea)
	if err != nil {
		return err
	}
	if err := a.check(); err != nil {
		return err
	}
	if !a.has(attrBound) {
		return errors.New("key may leave its TPM, or was not made in it")
	}
	if a.nameAlg == algSHA1 {
		return errWeakName
	}
	name, err := a.name(s.PublicArea)
	if err != nil {
		return err
	}
	if (!a.has(attrRestricted|attrSign) || a.has(attrDecrypt)) && a.is(ak) {
		return errors.New("key speaks for itself but may sign anything")
	}
	at, err := parseAttest(s.Attest)
	if err != nil {
		return err
	}
	if err := at.about(name, nonce, s.CreationData != nil); err != nil {
		return err
	}
	if s.CreationData != nil {
		if err := at.created(&a, s.CreationData); err != nil {
			return err
		}
	}
	sig, err := parseSignature(s.Signature)
	if err != nil {
		return err
	}
	return sig.verify(ak, s.Attest)
}

// is reports whether pub, which checkKey has passed, is the key of a, or for ECC
// that with the negative point, which has the same owner.
func (a *area) is(pub crypto.PublicKey) bool {
	switch k := pub.(type) {
	case *rsa.PublicKey:
		return a.typ == algRSA && bytes.Equal(k.N.Bytes(), a.n)
	case *ecdsa.PublicKey:
		//lint:ignore SA1019 Bytes would check the point, and the signature's check does
		return a.curve == curveID(k.Curve) && bytes.Equal(k.X.Bytes(), bytes.TrimLeft(a.x, "\x00"))
	}
	return false
}
