package attest

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/go-tpm/tpm2"
)

// A Credential is a secret that only the TPM with a given endorsement key
// opens, and only for a given attestation key.
type Credential struct {
	Blob            []byte // contents of the TPM2B_ID_OBJECT, without its size
	EncryptedSecret []byte // contents of the TPM2B_ENCRYPTED_SECRET, without its size
}

// maxCredential is above what the largest keys give.
const maxCredential = 1024

// MakeCredential encrypts secret to an endorsement key for the attestation key
// with the given TPM name, as TPM2_MakeCredential does (TCG Part 1, 24). It
// needs no TPM. ekPublicArea is the endorsement key's TPMT_PUBLIC: its name algorithm
// and symmetric cipher are used. Where only the key is known, see [EKPublicArea]. A
// secret has at most as many bytes as the name algorithm's digest. SHA-1 names,
// of either key, are refused.
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

// ActivateCredential opens c with ek for ak and returns the secret, which
// crosses the bus encrypted. A credential for another TPM or another key is
// refused with TPM_RC_INTEGRITY.
func (t *TPM) ActivateCredential(ctx context.Context, ek *EK, ak *Key, c *Credential) ([]byte, error) {
	if ek == nil || ak == nil {
		return nil, &Error{Op: "ActivateCredential", Err: errNoKey}
	}
	if c == nil || len(c.Blob) == 0 || len(c.Blob) > maxCredential || len(c.EncryptedSecret) == 0 || len(c.EncryptedSecret) > maxCredential {
		return nil, &Error{Op: "ActivateCredential", Err: errors.New("credential is empty or too long")}
	}
	var secret []byte
	err := t.do(ctx, func() (err error) {
		// First, for the storage key to be there before the endorsement key is
		// made.
		if _, err := t.load(ctx, ak); err != nil {
			return err
		}
		mk, err := t.lacksEK(ctx, ek, t.knownParent(ak.parent))
		if err != nil {
			return err
		}
		secret, err = t.activateWith(ctx, ek, ak, c, mk)
		if ek.assumed && !mk && hasRC(err, tpm2.TPMRCHandle) {
			if err := t.sweep(ctx); err != nil { // sessions of the first try
				return err
			}
			secret, err = t.activateWith(ctx, ek, ak, c, true)
		}
		return err
	})
	return secret, err
}

// Activator returns a function that opens credentials with ek for ak, as
// [TPM.ActivateCredential] does. It fits the fields named Activate of packages
// that do not see a TPM: aik.Request, ekcert.Request and drs.Proof. blob is the
// contents of a TPM2B_ID_OBJECT and encryptedSecret those of a
// TPM2B_ENCRYPTED_SECRET, without their size prefixes.
func (t *TPM) Activator(ek *EK, ak *Key) func(ctx context.Context, blob, encryptedSecret []byte) ([]byte, error) {
	return func(ctx context.Context, blob, encryptedSecret []byte) ([]byte, error) {
		return t.ActivateCredential(ctx, ek, ak, &Credential{Blob: blob, EncryptedSecret: encryptedSecret})
	}
}

// lacksEK reports whether ek, if its handle is only assumed, has to be made. It
// is not persistent where the storage key is not, which may have given up its
// slot, and is where that is RSA, as Windows leaves both. Otherwise the TPM is
// asked.
func (t *TPM) lacksEK(ctx context.Context, ek *EK, parent *object) (bool, error) {
	if !ek.assumed || parent == nil || !parent.persistent() {
		return ek.assumed, nil
	}
	if a, err := parseArea(parent.area); err == nil && a.typ == algRSA {
		return false, nil
	}
	_, _, err := t.readPublic(ctx, ek.Handle)
	if hasRC(err, tpm2.TPMRCHandle) {
		return true, nil
	}
	return false, err
}

// activateWith opens c with ek, made from its template if mk is true and its
// handle is only assumed.
func (t *TPM) activateWith(ctx context.Context, ek *EK, ak *Key, c *Credential, mk bool) ([]byte, error) {
	e, err := t.loadEK(ctx, ek, mk)
	if err != nil {
		return nil, err
	}
	o, err := t.load(ctx, ak, e) // e may have cost it its slot
	if err != nil {
		return nil, err
	}
	secret, err := t.activate(ctx, e, o, ak, c)
	var rc *Error
	if ek.assumed && errors.As(err, &rc) && isSessionRC(rc.RC) && hasRC(err, tpm2.TPMRCAuthFail, tpm2.TPMRCBadAuth) {
		err = &Error{Op: rc.Op, RC: rc.RC, Err: fmt.Errorf("%w, or a wrong authorization value was used: %w", errOtherEK, rc.Err)}
	}
	return secret, err
}

func (t *TPM) activate(ctx context.Context, ek, o *object, ak *Key, c *Credential) ([]byte, error) {
	a, err := parseArea(ek.area)
	if err != nil {
		return nil, &Error{Op: "ActivateCredential", Err: err}
	}
	s, err := t.sessionFor(ctx, ak, true, ek, o)
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
	// Last, since a TPM has three slots for sessions.
	h, err := t.authorize(ctx, ak, o, ek)
	if err != nil {
		t.endSession() // the policy is still in it
		return nil, err
	}
	cmd.ActivateHandle = h
	var rsp *tpm2.ActivateCredentialResponse
	err = t.withSlots(ctx, ek.borrows(), func() (err error) {
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
	h, err := t.authSession(ctx, t.EndorsementAuth, use...)
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
		for _, p := range [][]byte{policyA[a.nameAlg], policyC[a.nameAlg]} {
			or.PHashList.Digests = append(or.PHashList.Digests, tpm2.TPM2BDigest{Buffer: p})
		}
		if _, err := run(ctx, t, or); err != nil {
			t.endSession()
			return nil, err
		}
	}
	return s, nil
}
