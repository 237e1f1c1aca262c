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

// A Statement is a TPM's signed statement about one of its keys: that the key is in
// the TPM (TPM2_Certify), or how the TPM created it (TPM2_CertifyCreation). Its
// parts have no size prefixes.
//
// The types Statement of packages drs and ekcert have the same fields, so that a
// *Statement converts to each of them: (*drs.Statement)(s).
type Statement struct {
	PublicArea   []byte // TPMT_PUBLIC of the key that the statement is about
	Attest       []byte // TPMS_ATTEST of type certify or creation
	Signature    []byte // TPMT_SIGNATURE of the attestation key over Attest
	CreationData []byte // TPMS_CREATION_DATA in a creation statement, else nil
}

// clone returns a copy of s that shares no bytes with it.
func (s *Statement) clone() *Statement {
	if s == nil {
		return nil
	}
	return &Statement{
		PublicArea: slices.Clone(s.PublicArea), Attest: slices.Clone(s.Attest),
		Signature: slices.Clone(s.Signature), CreationData: slices.Clone(s.CreationData),
	}
}

// Certify returns a statement of the attestation key aik that key is in the same TPM
// (TPM2_Certify). The statement repeats the nonce, which has at most 64 bytes and
// may be nil. The error wraps an [*Error], and the error of ctx if that ended first.
func (t *TPM) Certify(ctx context.Context, key, aik *Key, nonce []byte) (*Statement, error) {
	err := aik.attests(nonce)
	if err == nil && (key == nil || key.tpm == nil) {
		err = errNoKey
	}
	if err != nil {
		return nil, &Error{Op: "Certify", Err: err}
	}
	var st *Statement
	err = t.do(ctx, func() error {
		a, err := t.load(ctx, aik)
		if err != nil {
			return err
		}
		o, err := t.load(ctx, key, a)
		if err != nil {
			return err
		}
		s, err := t.sessionFor(ctx, aik, true, a, o)
		if err != nil {
			return err
		}
		st, err = t.certify(ctx, key, aik, o, a, nonce, s)
		return err
	})
	return st, err
}

// certify is Certify for keys that are loaded, as o and a, in session s.
func (t *TPM) certify(ctx context.Context, key, aik *Key, o, a *object, nonce []byte, s *session) (*Statement, error) {
	subject, err := t.authorize(ctx, key, o, a)
	if err != nil {
		return nil, err
	}
	signer, err := t.authorize(ctx, aik, a, o)
	if err != nil {
		return nil, t.spent(subject.Auth, err)
	}
	var rsp *tpm2.CertifyResponse
	err = t.withSlots(ctx, borrowed(o, a), func() (err error) {
		rsp, err = run(ctx, t, tpm2.Certify{
			ObjectHandle:   subject,
			SignHandle:     signer,
			QualifyingData: tpm2.TPM2BData{Buffer: nonce},
			InScheme:       tpm2.TPMTSigScheme{Scheme: tpm2.TPMAlgNull},
		}, s)
		return err
	}, o, a)
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

// attests returns an error if k cannot sign a statement for a nonce.
func (k *Key) attests(nonce []byte) error {
	if k == nil {
		return errNoKey
	}
	if k.attrs&attrRestricted == 0 || k.attrs&attrSign == 0 {
		return errors.New("the key was not made with Usage: attest.Attest")
	}
	if len(nonce) > 64 {
		return errors.New("nonce is longer than 64 bytes")
	}
	return nil
}

// Verify checks the statement without a TPM. It holds if
//
//   - it is about the key in s.PublicArea, which is one that [PublicKey] accepts
//     and that cannot leave its TPM: it has the attributes fixedTPM, fixedParent
//     and sensitiveDataOrigin,
//   - it was made for nonce (nil is the same as empty) and signed by the key aik,
//     an *[rsa.PublicKey] or *[ecdsa.PublicKey],
//   - it is a creation statement about s.CreationData if that is not nil, else a
//     certification,
//   - a key that signs a statement about itself signs only what its TPM made
//     (restricted); any other key could sign anything about itself,
//   - the name of the key is not a SHA-1 hash: only the name ties s.Attest to
//     s.PublicArea, and another area with the same SHA-1 hash can be made.
//
// Verify does not decide whether aik can be trusted, nor what the key may be used
// for; see [Attributes]. SHA-1 signatures are accepted, because Windows's
// attestation keys make them. The error is an [*Error] that wraps [ErrProof].
func (s *Statement) Verify(aik crypto.PublicKey, nonce []byte) error {
	if err := s.verify(aik, nonce); err != nil {
		return &Error{Op: "Verify", Err: proofError{err}}
	}
	return nil
}

// A proofError wraps ErrProof and the reason why a proof does not hold.
type proofError struct{ reason error }

func (e proofError) Error() string   { return ErrProof.Error() + ": " + e.reason.Error() }
func (e proofError) Unwrap() []error { return []error{ErrProof, e.reason} }

var errWeakName = errors.New("name is a SHA-1 hash, which does not bind the key")

func (s *Statement) verify(aik crypto.PublicKey, nonce []byte) error {
	if s == nil {
		return errors.New("no statement")
	}
	if err := checkKey(aik); err != nil {
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
		return errors.New("key can leave its TPM, or was not made in it")
	}
	if a.nameAlg == algSHA1 {
		return errWeakName
	}
	name, err := a.name(s.PublicArea)
	if err != nil {
		return err
	}
	if (!a.has(attrRestricted|attrSign) || a.has(attrDecrypt)) && a.is(aik) {
		return errors.New("key signs a statement about itself but could sign anything")
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
	return sig.verify(aik, s.Attest)
}

// is reports whether pub, which checkKey has accepted, is the key of a or, for ECC,
// the key with the negative point, which has the same owner.
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
