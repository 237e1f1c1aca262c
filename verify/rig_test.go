package verify_test

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-tpm/tpm2/transport"

	"github.com/whiteglove/whiteglove/attest"
	"github.com/whiteglove/whiteglove/attest/attesttest"
	"github.com/whiteglove/whiteglove/ekcert"
	"github.com/whiteglove/whiteglove/verify"
	"github.com/whiteglove/whiteglove/verify/verifytest"
)

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// A rig is a device and a verifier that trusts its maker.
type rig struct {
	verifier *verify.Verifier
	now      time.Time

	chip  *attesttest.TPM // the emulator
	tpm   *attest.TPM
	ek    *attest.EK
	aik   *attest.Key
	hello verify.Hello
}

// newRig returns a rig whose machine was started as the log of verifytest says.
func newRig(t testing.TB) *rig {
	t.Helper()
	chip, err := attesttest.New(attesttest.Config{})
	check(t, err)
	t.Cleanup(func() { check(t, chip.Close()) })
	check(t, verifytest.Boot(chip, verifytest.EventLog()))
	r := newRigOf(t, chip)
	r.chip = chip
	return r
}

func newRigOf(t testing.TB, tr transport.TPM) *rig {
	t.Helper()
	r := &rig{tpm: &attest.TPM{Transport: tr}, now: time.Now()}
	for ek, err := range r.tpm.EKs(t.Context()) {
		check(t, err)
		r.ek = ek
		break
	}
	r.aik = r.newAIK(t)
	cert, err := new(ekcert.Client).Find(t.Context(), r.tpm, "", r.ek.Public)
	check(t, err)
	r.hello = verify.Hello{EKCertificate: cert.Raw, EKPublicArea: r.ek.PublicArea, AIKCreation: r.aik.Creation()}
	for _, c := range attesttest.Certificates() {
		r.hello.Issuers = append(r.hello.Issuers, c.Raw)
	}
	clock := func() time.Time { return r.now }
	r.verifier = &verify.Verifier{
		EKs: &ekcert.Client{Roots: ekcert.Roots{attesttest.Vendor: attesttest.Roots()}, Now: clock},
		Now: clock,
	}
	return r
}

func (r *rig) newAIK(t testing.TB) *attest.Key {
	t.Helper()
	aik, err := r.tpm.CreateKey(t.Context(), attest.Template{Algorithm: attest.P256, Usage: attest.Attest})
	check(t, err)
	return aik
}

// answer returns the answer to a new challenge.
func (r *rig) answer(t testing.TB) *verify.Answer {
	t.Helper()
	c, err := r.verifier.Challenge(t.Context(), &r.hello)
	check(t, err)
	secret, err := r.tpm.Activator(r.ek, r.aik)(t.Context(), c.Blob, c.EncryptedSecret)
	check(t, err)
	return &verify.Answer{ID: c.ID, Secret: secret}
}

func (r *rig) enroll(t testing.TB) *verify.Device {
	t.Helper()
	d, err := r.verifier.Accept(t.Context(), r.answer(t))
	check(t, err)
	return d
}

// evidence returns evidence for a new request.
func (r *rig) evidence(t testing.TB, d *verify.Device, keys ...*attest.Key) *verify.Evidence {
	t.Helper()
	q, err := r.verifier.Request(t.Context(), d)
	check(t, err)
	e, err := q.Evidence(t.Context(), r.tpm, r.aik, keys...)
	check(t, err)
	e.EventLog = verifytest.EventLog()
	return e
}

// attest runs a whole exchange and returns the result.
func (r *rig) attest(t testing.TB, d *verify.Device) (*verify.Result, error) {
	t.Helper()
	return r.verifier.Check(t.Context(), d, r.evidence(t, d))
}

// fails fails the test unless err is an Error of an operation that wraps want.
func fails(t testing.TB, name, op string, err, want error) {
	t.Helper()
	var e *verify.Error
	if !errors.As(err, &e) || e.Op != op || want != nil && !errors.Is(err, want) {
		t.Errorf("%s: got %v, want %q, %v", name, err, op, want)
		return
	}
	if want != nil && (e.HRESULT() == 0 || e.Remedy() == "") {
		t.Errorf("%s: no code or no advice: %#x %q", name, e.HRESULT(), e.Remedy())
	}
}
