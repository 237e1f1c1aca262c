package attest_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"errors"
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
	cred, err := attest.MakeCredential(ek.Area, aik.Name(), secret)
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

var errAccepted = errors.New("a change was accepted")

// A shortRun uses each kind of key and command once, with keys that are there.
type shortRun struct {
	set  *keySet
	key  crypto.PublicKey // of set.dk
	aik  crypto.PublicKey
	auth []byte
}

func newShortRun(t *testing.T, tr transport.TPM) *shortRun {
	t.Helper()
	r := &shortRun{set: newKeySet(t, tr), auth: []byte("auth")}
	tpm := &attest.TPM{Transport: tr}
	for _, k := range []struct {
		text []byte
		pub  *crypto.PublicKey
	}{{r.set.aik, &r.aik}, {r.set.dk, &r.key}} {
		l, err := tpm.LoadKey(context.Background(), k.text)
		if err != nil {
			t.Fatal(err)
		}
		*k.pub = l.Public()
	}
	return r
}

// do runs it. The error wraps errAccepted if something came out that is not
// what it should be.
func (r *shortRun) do(tr transport.TPM) (err error) {
	ctx := context.Background()
	tpm := &attest.TPM{Transport: tr}
	release := tpm.Keep()
	defer func() { err = errors.Join(err, release(ctx)) }()
	aik, err := tpm.LoadKey(ctx, r.set.aik)
	if err != nil {
		return err
	}
	if got, err := tpm.ActivateCredential(ctx, r.set.ek, aik, r.set.cred); err != nil {
		return err
	} else if !bytes.Equal(got, r.set.seed) {
		return errors.Join(errAccepted, errors.New("credential"))
	}
	if err := r.signs(ctx, tpm, aik); err != nil {
		return err
	}
	tk, err := tpm.LoadKey(ctx, r.set.tk)
	if err != nil {
		return err
	}
	got, err := tk.Decrypt(nil, r.set.box, &rsa.OAEPOptions{Hash: crypto.SHA256})
	if err == nil && string(got) != "secret of the box" {
		return errors.Join(errAccepted, errors.New("plaintext"))
	}
	return err
}

// signs makes a key with an authorization value, has it certified, and uses it.
func (r *shortRun) signs(ctx context.Context, tpm *attest.TPM, aik *attest.Key) error {
	k, err := tpm.CreateKey(ctx, attest.Template{Algorithm: attest.P256, Usage: attest.Sign, Auth: r.auth})
	if err != nil {
		return err
	}
	s, err := tpm.Certify(ctx, k, aik, []byte("nonce"))
	if err != nil {
		return err
	}
	if err := s.Verify(r.aik, []byte("nonce")); err != nil {
		return errors.Join(errAccepted, err)
	}
	digest := sha256.Sum256([]byte("message"))
	sig, err := k.Sign(rand.Reader, digest[:], crypto.SHA256)
	if err != nil {
		return err
	}
	if !ecdsa.VerifyASN1(k.Public().(*ecdsa.PublicKey), digest[:], sig) {
		return errors.Join(errAccepted, errors.New("signature"))
	}
	return nil
}
