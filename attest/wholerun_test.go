package attest_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"fmt"
	"testing"

	"github.com/google/go-tpm/tpm2/transport"

	"github.com/whiteglove/whiteglove/attest"
	"github.com/whiteglove/whiteglove/attest/attesttest"
)

var errAccepted = errors.New("a change was accepted")

// A wholeRun uses every command of the package, on copies of one TPM that has
// keys of it.
type wholeRun struct {
	state []byte // of the TPM
	set   *keySet
	aik   crypto.PublicKey // of set.aik
	eks   [][]byte         // public areas
	pcr   []byte           // PCR 0
	auth  []byte
}

// A stage is a part of a run.
type stage struct {
	name string
	do   func(ctx context.Context, tpm *attest.TPM) error
}

func newWholeRun(t testing.TB, state string) *wholeRun {
	t.Helper()
	tr := emulator(t, state)
	tpm := &attest.TPM{Transport: tr}
	r := &wholeRun{set: newKeySet(t, tr), auth: []byte("auth")}
	aik, err := tpm.LoadKey(t.Context(), r.set.aik)
	if err != nil {
		t.Fatal(err)
	}
	r.aik = aik.Public()
	for ek, err := range tpm.EKs(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		r.eks = append(r.eks, ek.PublicArea)
	}
	if r.state, err = tr.Snapshot(); err != nil {
		t.Fatal(err)
	}
	r.pcr = make([]byte, 32)
	return r
}

// tpm returns a copy of the TPM.
func (r *wholeRun) tpm(t testing.TB) *attesttest.TPM {
	t.Helper()
	tr, err := attesttest.New(attesttest.Config{State: r.state})
	if err != nil {
		t.Fatal(err)
	}
	return tr
}

// stages are all that a run does.
func (r *wholeRun) stages() []stage {
	return []stage{
		{"Info", func(ctx context.Context, tpm *attest.TPM) error { return second(tpm.Info(ctx)) }},
		{"EKs", r.findEKs},
		{"Activate", r.activate},
		{"CreateAIK", r.createAIK},
		{"Certify", r.certify},
		{"Decrypt", r.decrypt},
		{"Quote", r.quote},
		{"PersistSRK", func(ctx context.Context, tpm *attest.TPM) error { return tpm.PersistSRK(ctx) }},
	}
}

// do runs it all. The error wraps errAccepted if something came out that is not
// what it should be.
func (r *wholeRun) do(ctx context.Context, tr transport.TPM) (err error) {
	tpm := &attest.TPM{Transport: tr}
	release := tpm.Keep()
	defer func() { err = errors.Join(err, release(ctx)) }()
	for _, s := range r.stages() {
		if err := s.do(ctx, tpm); err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
	}
	return nil
}

func accepted(what string) error { return fmt.Errorf("%w: %s", errAccepted, what) }

// findEKs judges the endorsement keys by their certificates, as package ekcert
// does. Of the P-384 one, which has none, nothing can be believed.
func (r *wholeRun) findEKs(ctx context.Context, tpm *attest.TPM) error {
	for ek, err := range tpm.EKs(ctx) {
		if err != nil {
			return err
		}
		der, err := tpm.ReadNV(ctx, ek.CertificateIndex)
		if errors.Is(err, attest.ErrNotFound) && ek.CertificateIndex == 0x01C00016 {
			continue
		}
		if err != nil {
			return err
		}
		cert, err := x509.ParseCertificate(der)
		if err != nil {
			return err
		}
		cert.UnhandledCriticalExtensions = nil
		chain, err := tpm.ReadNV(ctx, 0x01C00100)
		if err != nil {
			return err
		}
		issuer, err := x509.ParseCertificate(chain)
		if err != nil {
			return err
		}
		between := x509.NewCertPool()
		between.AddCert(issuer)
		if _, err := cert.Verify(x509.VerifyOptions{Roots: attesttest.Roots(), Intermediates: between, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}}); err != nil {
			return err
		}
		if !ek.Public.(interface{ Equal(crypto.PublicKey) bool }).Equal(cert.PublicKey) {
			return errors.New("certificate of another key")
		}
		if !contains(r.eks, ek.PublicArea) {
			return accepted("endorsement key")
		}
	}
	return nil
}

func contains(all [][]byte, b []byte) bool {
	for _, a := range all {
		if bytes.Equal(a, b) {
			return true
		}
	}
	return false
}

func (r *wholeRun) activate(ctx context.Context, tpm *attest.TPM) error {
	aik, err := tpm.LoadKey(ctx, r.set.aik)
	if err != nil {
		return err
	}
	got, err := tpm.ActivateCredential(ctx, r.set.ek, aik, r.set.cred)
	if err == nil && !bytes.Equal(got, r.set.seed) {
		return accepted("credential")
	}
	return err
}

func (r *wholeRun) createAIK(ctx context.Context, tpm *attest.TPM) error {
	aik, err := tpm.CreateKey(ctx, attest.Template{Algorithm: attest.P256, Usage: attest.Attest})
	if err == nil && aik.Creation().Verify(aik.Public(), nil) != nil {
		return accepted("creation statement")
	}
	return err
}

// certify makes a key with an authorization value, has it certified, and uses it.
func (r *wholeRun) certify(ctx context.Context, tpm *attest.TPM) error {
	aik, err := tpm.LoadKey(ctx, r.set.aik)
	if err != nil {
		return err
	}
	k, err := tpm.CreateKey(ctx, attest.Template{Algorithm: attest.P256, Usage: attest.Sign, Auth: r.auth})
	if err != nil {
		return err
	}
	s, err := tpm.Certify(ctx, k, aik, []byte("nonce"))
	if err != nil {
		return err
	}
	if err := s.Verify(r.aik, []byte("nonce")); err != nil {
		return accepted(err.Error())
	}
	digest := sha256.Sum256([]byte("message"))
	sig, err := k.WithContext(ctx).Sign(rand.Reader, digest[:], crypto.SHA256)
	if err == nil && !ecdsa.VerifyASN1(k.Public().(*ecdsa.PublicKey), digest[:], sig) {
		return accepted("signature")
	}
	return err
}

func (r *wholeRun) decrypt(ctx context.Context, tpm *attest.TPM) error {
	tk, err := tpm.LoadKey(ctx, r.set.tk)
	if err != nil {
		return err
	}
	got, err := tk.WithContext(ctx).Decrypt(nil, r.set.box, &rsa.OAEPOptions{Hash: crypto.SHA256})
	if err == nil && string(got) != "secret of the box" {
		return accepted("plaintext")
	}
	return err
}

func (r *wholeRun) quote(ctx context.Context, tpm *attest.TPM) error {
	aik, err := tpm.LoadKey(ctx, r.set.aik)
	if err != nil {
		return err
	}
	q, err := tpm.Quote(ctx, aik, []byte("nonce"), crypto.SHA256)
	if err == nil && (q.Verify(r.aik, []byte("nonce")) != nil || !bytes.Equal(q.PCRs[0], r.pcr)) {
		return accepted("quote")
	}
	return err
}
