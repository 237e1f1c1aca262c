package attest_test

import (
	"bytes"
	"context"
	"crypto/rsa"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-tpm/tpm2"

	"github.com/whiteglove/whiteglove/attest"
)

// EK is the first of EKs.
func TestEK(t *testing.T) {
	tr := emulator(t, "fresh")
	tpm := &attest.TPM{Transport: tr}
	ek, err := tpm.EK(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := ek.Public.(*rsa.PublicKey); !ok || !bytes.Equal(ek.PublicArea, firstEK(t, tpm).PublicArea) {
		t.Errorf("endorsement key %T", ek.Public)
	}
	noneLoaded(t, tr)

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for _, tpm := range []*attest.TPM{tpm, nil, new(attest.TPM)} {
		var e *attest.Error
		if ek, err := tpm.EK(ctx); !errors.As(err, &e) || errors.Is(err, attest.ErrNotFound) || ek != nil {
			t.Errorf("%v, %v", ek, err)
		}
	}
}

// A TPM without an endorsement key that opens credentials has none, and the error
// says why.
func TestNoEK(t *testing.T) {
	tr := emulator(t, "fresh")
	p := &tap{TPM: tr, before: func(command []byte) []byte {
		if commandCode(command) != tpm2.TPMCCCreatePrimary {
			return nil
		}
		return []byte{0x80, 0x01, 0, 0, 0, 10, 0, 0, 0x02, 0xC4} // TPM_RC_VALUE, parameter 2
	}}
	tpm := &attest.TPM{Transport: p}
	refused := func(what string) {
		t.Helper()
		ek, err := tpm.EK(t.Context())
		var e *attest.Error
		if ek != nil || !errors.Is(err, attest.ErrNotFound) || !errors.As(err, &e) || !strings.HasPrefix(e.Op, "EK") || !strings.Contains(err.Error(), what) {
			t.Errorf("%v, %v", ek, err)
		}
	}
	refused("makes none")

	made, err := tpm2.CreatePrimary{PrimaryHandle: tpm2.TPMRHEndorsement, InPublic: tpm2.New2B(tpm2.TPMTPublic{
		Type: tpm2.TPMAlgRSA, NameAlg: tpm2.TPMAlgSHA256,
		ObjectAttributes: tpm2.TPMAObject{FixedTPM: true, FixedParent: true, SensitiveDataOrigin: true, UserWithAuth: true, SignEncrypt: true, Decrypt: true},
		Parameters:       tpm2.NewTPMUPublicParms(tpm2.TPMAlgRSA, &tpm2.TPMSRSAParms{KeyBits: 2048}),
	})}.Execute(tr)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := (tpm2.EvictControl{Auth: tpm2.TPMRHOwner, ObjectHandle: &tpm2.NamedHandle{Handle: made.ObjectHandle, Name: made.Name}, PersistentHandle: 0x81010001}).Execute(tr); err != nil {
		t.Fatal(err)
	}
	refused("signs and decrypts")
}
