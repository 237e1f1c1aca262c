package attest_test

import (
	"crypto"
	"errors"
	"testing"

	"github.com/whiteglove/whiteglove/attest"
)

// What is not there is an error, before the TPM is asked.
func TestNil(t *testing.T) {
	ctx := t.Context()
	tpm := &attest.TPM{Transport: emulator(t, "ready")}
	aik := create(t, tpm, attest.Template{Algorithm: attest.P256, Usage: attest.Attest})
	ek, cred := firstEK(t, tpm), &attest.Credential{Blob: []byte{1}, EncryptedSecret: []byte{1}}
	tpm.Transport = noTPM{}
	for name, err := range map[string]error{
		"Certify, key":             second(tpm.Certify(ctx, nil, aik, nil)),
		"Certify, attestation key": second(tpm.Certify(ctx, aik, nil, nil)),
		"Quote":                    second(tpm.Quote(ctx, nil, nil, crypto.SHA256)),
		"Activate, EK":             second(tpm.ActivateCredential(ctx, nil, aik, cred)),
		"Activate, key":            second(tpm.ActivateCredential(ctx, ek, nil, cred)),
		"Activate, credential":     second(tpm.ActivateCredential(ctx, ek, aik, nil)),
		"Activate, empty EK":       second(tpm.ActivateCredential(ctx, &attest.EK{}, &attest.Key{}, cred)),
	} {
		var e *attest.Error
		if !errors.As(err, &e) || e.Op == "" {
			t.Errorf("%s: %v", name, err)
		}
	}
}
