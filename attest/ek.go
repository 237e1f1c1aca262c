package attest

import (
	"bytes"
	"context"
	"crypto"
	"errors"

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
// If that is wrong, [TPM.ActivateCredential] fails with [ErrOtherEK], because the name of the key is
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

// newEK returns the endorsement key with a public area.
func newEK(area []byte, handle, certificate uint32, template []byte) (*EK, error) {
	pub, err := PublicKey(area)
	if err != nil {
		return nil, err
	}
	return &EK{Public: pub, PublicArea: area, Handle: handle, CertificateIndex: certificate, template: template}, nil
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
		return nil, &Error{Op: "TPM2_CreatePrimary", Err: ErrOtherEK}
	}
	return o, nil
}

// PrepareEK does beforehand what [TPM.ActivateCredential] needs of ek, so that it can be
// done while a service makes the credential. It returns ek as the TPM has it: with the
// Handle 0 if the key is not persistent. The key is made in that case and, while
// [TPM.Keep] is in force, stays loaded. aik is the key for which credentials will be
// opened. Only a key of [DefaultEK] can differ from what PrepareEK returns, and if its
// Handle is not 0, PrepareEK may send no command: it is ActivateCredential that proves
// that the TPM has the key.
//
// The error wraps an [*Error], and the error of ctx if that ended first. It wraps
// [ErrOtherEK] if the TPM makes another key, or has another one at the Handle.
func (t *TPM) PrepareEK(ctx context.Context, ek *EK, aik *Key) (*EK, error) {
	if ek == nil || aik == nil {
		return nil, &Error{Op: "PrepareEK", Err: errNoKey}
	}
	own := *ek
	err := t.do(ctx, func() error {
		if _, err := t.load(ctx, aik); err != nil { // the storage key comes first
			return err
		}
		mk, known, err := t.lacksEK(ctx, ek, t.knownParent(aik.parent))
		if err != nil {
			return err
		}
		if mk {
			own.Handle = 0
		}
		own.assumed = ek.assumed && !mk && !known
		_, err = t.loadEK(ctx, &own, false)
		return err
	})
	if err != nil {
		return nil, err
	}
	return &own, nil
}

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
