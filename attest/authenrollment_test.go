package attest_test

import (
	"bytes"
	"context"
	"crypto"
	"testing"

	"github.com/google/go-tpm/tpm2/transport"

	"github.com/whiteglove/whiteglove/attest"
)

// enrollWith does an enrollment with keys that have an authorization value, and
// returns what must stay secret: the credential's secret, a session key and that
// value.
func enrollWith(t *testing.T, tr transport.TPM, auth []byte) [][]byte {
	t.Helper()
	ctx := context.Background()
	tpm := &attest.TPM{Transport: tr}
	release := tpm.Keep()
	ek := firstEK(t, tpm)
	if _, err := tpm.ReadNV(ctx, ek.CertificateIndex); err != nil {
		t.Fatal(err)
	}
	aik := create(t, tpm, attest.Template{Usage: attest.Attest, Auth: auth})
	secret := []byte("secret of an attestation CA, 32.")
	cred, err := attest.MakeCredential(ek.PublicArea, aik.Name(), secret)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := tpm.ActivateCredential(ctx, ek, aik, cred); err != nil || !bytes.Equal(got, secret) {
		t.Fatalf("ActivateCredential: %q, %v", got, err)
	}
	dk := create(t, tpm, attest.Template{Algorithm: attest.P256, Usage: attest.Sign, Auth: auth})
	certify(t, tpm, dk, aik, []byte("join"))
	signs(t, dk)
	tk := create(t, tpm, attest.Template{Usage: attest.Decrypt, Auth: auth})
	certify(t, tpm, tk, aik, []byte("join"))
	openOAEP(t, tk)
	quotes(t, tpm, aik, crypto.SHA256)
	if err := release(ctx); err != nil {
		t.Fatal(err)
	}
	noneLoaded(t, tr)
	return [][]byte{secret, []byte(sessionKeyOfTests), auth}
}
