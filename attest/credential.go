package attest

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"github.com/google/go-tpm/tpm2"
)

// A Credential is an encrypted secret that only the TPM with a given endorsement
// key opens, and only if it also holds a given attestation key (TCG Part 1, 24).
type Credential struct {
	Blob            []byte // contents of a TPM2B_ID_OBJECT, without the size prefix
	EncryptedSecret []byte // contents of a TPM2B_ENCRYPTED_SECRET, without the size prefix
}

// maxCredential limits each part of a credential, in bytes. The largest keys give
// less.
const maxCredential = 1024

// MakeCredential encrypts secret to an endorsement key for the attestation key
// with the given TPM name, as TPM2_MakeCredential does (TCG Part 1, 24). It needs
// no TPM. It does not check whose endorsement key it is: its certificate does that.
//
// ekPublicArea is the endorsement key's TPMT_PUBLIC, whose name algorithm and
// cipher are used; where only the public key is known, [EKPublicArea] returns it.
// name is as [Name] returns it. secret has at least one byte and at most as many as
// the digest of the name algorithm, 32 for SHA-256. SHA-1 names are refused for
// both keys, because two keys could have the same. The error is an [*Error].
func MakeCredential(ekPublicArea []byte, name, secret []byte) (*Credential, error) {
	c, err := makeCredential(ekPublicArea, name, secret)
	if err != nil {
		return nil, &Error{Op: "MakeCredential", Err: err}
	}
	return c, nil
}

func makeCredential(ekPublicArea, name, secret []byte) (*Credential, error) {
	a, err := storageKey(ekPublicArea)
	if err != nil {
		return nil, err
	}
	if err := checkSecret(a, name, secret); err != nil {
		return nil, err
	}
	seed, encrypted, err := a.newSeed(labelIdentity)
	if err != nil {
		return nil, err
	}
	blob, err := a.seal(seed, name, secret)
	if err != nil {
		return nil, err
	}
	return &Credential{Blob: blob, EncryptedSecret: encrypted}, nil
}

// ActivateCredential opens c with the endorsement key ek for the attestation key
// aik (TPM2_ActivateCredential) and returns the secret, which crosses the bus
// encrypted. The TPM refuses a credential for another attestation key with
// TPM_RC_INTEGRITY, and one for another endorsement key with that or, for RSA, with
// TPM_RC_VALUE. The error wraps [ErrOtherEK] if ek is of [DefaultEK] and the TPM has
// another. The error wraps an [*Error], and the error of ctx if that ended
// first.
func (t *TPM) ActivateCredential(ctx context.Context, ek *EK, aik *Key, c *Credential) ([]byte, error) {
	if ek == nil || aik == nil {
		return nil, &Error{Op: "ActivateCredential", Err: errNoKey}
	}
	if c == nil || len(c.Blob) == 0 || len(c.Blob) > maxCredential || len(c.EncryptedSecret) == 0 || len(c.EncryptedSecret) > maxCredential {
		return nil, &Error{Op: "ActivateCredential", Err: errors.New("credential is empty or too long")}
	}
	if err := canOpen(ek.PublicArea); err != nil {
		return nil, &Error{Op: "ActivateCredential", Err: err}
	}
	var secret []byte
	err := t.do(ctx, func() (err error) {
		// The storage key has to be there before the endorsement key is made.
		if _, err := t.load(ctx, aik); err != nil {
			return err
		}
		mk, _, err := t.lacksEK(ctx, ek, t.knownParent(aik.parent))
		if err != nil {
			return err
		}
		secret, err = t.activateWith(ctx, ek, aik, c, mk)
		if ek.assumed && !mk && hasRC(err, tpm2.TPMRCHandle) {
			if err := t.sweep(ctx); err != nil { // flushes the sessions of the first try
				return err
			}
			secret, err = t.activateWith(ctx, ek, aik, c, true)
		}
		return err
	})
	return secret, err
}

// Activator returns a function that opens credentials with ek for aik, as
// [TPM.ActivateCredential] does; its errors are those of that method. It fits the fields named
// Activate of aik.Request, ekcert.Request and drs.Proof, whose packages do not use
// a TPM themselves. blob and encryptedSecret are the fields of a [Credential].
func (t *TPM) Activator(ek *EK, aik *Key) func(ctx context.Context, blob, encryptedSecret []byte) ([]byte, error) {
	return func(ctx context.Context, blob, encryptedSecret []byte) ([]byte, error) {
		return t.ActivateCredential(ctx, ek, aik, &Credential{Blob: blob, EncryptedSecret: encryptedSecret})
	}
}

// lacksEK reports whether ek has to be made because its handle is only assumed and
// there is no key, and whether that is known. If the storage key is not persistent (or is
// no longer loaded), neither is ek. If the storage key is a persistent RSA key, so is ek,
// because Windows leaves both. Otherwise lacksEK asks the TPM.
func (t *TPM) lacksEK(ctx context.Context, ek *EK, parent *object) (lacks, known bool, err error) {
	if !ek.assumed || parent == nil || !parent.persistent() {
		return ek.assumed, !ek.assumed, nil
	}
	if a, err := parseArea(parent.area); err == nil && a.typ == algRSA {
		return false, false, nil
	}
	_, name, err := t.readPublic(ctx, ek.Handle)
	if hasRC(err, tpm2.TPMRCHandle) {
		return true, true, nil
	}
	if own, nerr := Name(ek.PublicArea); err == nil && (nerr != nil || !bytes.Equal(name, own)) {
		err = &Error{Op: "TPM2_ReadPublic", Err: ErrOtherEK}
	}
	return false, true, err
}

// activateWith opens c with ek, which it makes from its template if mk is true and
// the handle is only assumed.
func (t *TPM) activateWith(ctx context.Context, ek *EK, aik *Key, c *Credential, mk bool) ([]byte, error) {
	e, err := t.loadEK(ctx, ek, mk)
	if err != nil {
		return nil, err
	}
	o, err := t.load(ctx, aik, e) // it may have been evicted for e
	if err != nil {
		return nil, err
	}
	secret, err := t.activate(ctx, e, o, aik, c)
	var rc *Error
	if ek.assumed && errors.As(err, &rc) && isSessionRC(rc.RC) && hasRC(err, tpm2.TPMRCAuthFail, tpm2.TPMRCBadAuth) {
		err = &Error{Op: rc.Op, RC: rc.RC, Err: fmt.Errorf("%w, or a wrong authorization value was used: %w", ErrOtherEK, rc.Err)}
	}
	return secret, err
}

// activate opens c with two loaded objects, the endorsement key ek and o, which is
// aik.
func (t *TPM) activate(ctx context.Context, ek, o *object, aik *Key, c *Credential) ([]byte, error) {
	a, err := parseArea(ek.area)
	if err != nil {
		return nil, &Error{Op: "ActivateCredential", Err: err}
	}
	s, err := t.sessionFor(ctx, aik, true, ek, o)
	if err != nil {
		return nil, err
	}
	cmd := tpm2.ActivateCredential{
		KeyHandle:      ek.password(),
		CredentialBlob: tpm2.TPM2BIDObject{Buffer: c.Blob},
		Secret:         tpm2.TPM2BEncryptedSecret{Buffer: c.EncryptedSecret},
	}
	extra := []tpm2.Session{s}
	if !a.has(attrUserWithAuth) {
		p, err := t.ekPolicy(ctx, &a, s, ek, o)
		if err != nil {
			return nil, err
		}
		cmd.KeyHandle = ek.authorized(p)
		if p == s {
			extra = nil
		}
	}
	// This session comes last, because a TPM has only three slots for sessions.
	h, err := t.authorize(ctx, aik, o, ek)
	if err != nil {
		t.endSession() // the policy is still in it
		return nil, err
	}
	cmd.ActivateHandle = h
	var rsp *tpm2.ActivateCredentialResponse
	err = t.withSlots(ctx, borrowed(ek, o), func() (err error) {
		rsp, err = run(ctx, t, cmd, extra...)
		return err
	}, ek, o)
	if err := t.spent(h.Auth, err); err != nil {
		t.endSession()
		return nil, err
	}
	return rsp.CertInfo.Buffer, nil
}

// ekPolicy satisfies an endorsement key's policy, in the kept session s if that
// has the right hash, else in one that is flushed when the method returns. The
// objects in use are not evicted for it.
func (t *TPM) ekPolicy(ctx context.Context, a *area, s *session, use ...*object) (*session, error) {
	policy := a.policyKind()
	if policy == 0 {
		return nil, &Error{Op: "ActivateCredential", Err: errors.New("endorsement key has an unknown policy")}
	}
	if a.nameAlg != s.alg {
		p, err := t.startSession(ctx, nil, tpm2.TPMSEPolicy, a.nameAlg)
		if err != nil {
			return nil, err
		}
		t.stray = append(t.stray, p.handle)
		s = p
	}
	h, err := t.authSession(ctx, ofEndorsement, t.EndorsementAuth, use...)
	if err != nil {
		return nil, err
	}
	_, err = run(ctx, t, tpm2.PolicySecret{
		AuthHandle:    tpm2.AuthHandle{Handle: tpm2.TPMRHEndorsement, Auth: h},
		PolicySession: s.handle,
	})
	if err := t.spent(h, err); err != nil {
		return nil, err
	}
	if policy == 'B' {
		or := tpm2.PolicyOr{PolicySession: s.handle}
		for _, p := range [][]byte{policyA(a.nameAlg), policyC(a.nameAlg)} {
			or.PHashList.Digests = append(or.PHashList.Digests, tpm2.TPM2BDigest{Buffer: p})
		}
		if _, err := run(ctx, t, or); err != nil {
			t.endSession()
			return nil, err
		}
	}
	return s, nil
}
