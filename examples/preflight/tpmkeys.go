package main

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"errors"

	"github.com/whiteglove/whiteglove/attest"
)

// keys tries what pre-provisioning will do: make an attestation key, certify
// another key with it, and open a credential with the endorsement key. It leaves
// nothing in the TPM.
func (c *tpmCheck) keys(ctx context.Context, ek *attest.EK) {
	defer c.tpm.Keep()(context.WithoutCancel(ctx))
	made := c.add("make-key")
	ak, err := c.tpm.CreateKey(ctx, attest.Template{Usage: attest.Attest})
	if err != nil {
		made.failed(err, "Clear the TPM in the firmware's setup. If that does not help, update its firmware.")
		return
	}
	made.note(pass, "an attestation key was made", "")
	certified := c.add("certify-key")
	if err := certify(ctx, c.tpm, ak); err != nil {
		certified.failed(err, "Update the TPM's firmware.")
	} else {
		certified.note(pass, "it certified another key, and the proof holds", "")
	}
	opened := c.add("use-ek")
	if err := activate(ctx, c.tpm, ek, ak); err != nil {
		opened.failed(err, "If the endorsement hierarchy has an authorization value, check on the system that set it; otherwise update the TPM's firmware.")
	} else {
		opened.note(pass, "the endorsement key opened a credential for the attestation key", "")
	}
}

// certify makes a key, certifies it with ak and verifies the proof.
func certify(ctx context.Context, tpm *attest.TPM, ak *attest.Key) error {
	key, err := tpm.CreateKey(ctx, attest.Template{Algorithm: attest.P256, Usage: attest.Sign})
	if err != nil {
		return err
	}
	nonce := make([]byte, 32)
	rand.Read(nonce)
	st, err := tpm.Certify(ctx, key, ak, nonce)
	if err != nil {
		return err
	}
	return st.Verify(ak.Public(), nonce)
}

// activate makes a credential as an attestation CA does, and opens it.
func activate(ctx context.Context, tpm *attest.TPM, ek *attest.EK, ak *attest.Key) error {
	secret := make([]byte, 32)
	rand.Read(secret)
	credential, err := attest.MakeCredential(ek.PublicArea, ak.Name(), secret)
	if err != nil {
		return err
	}
	got, err := tpm.ActivateCredential(ctx, ek, ak, credential)
	if err == nil && subtle.ConstantTimeCompare(got, secret) != 1 {
		err = errors.New("the credential has another secret in it")
	}
	return err
}
