package verify_test

import (
	"context"
	"crypto"
	"errors"
	"slices"
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

// TestAttest runs everything, with each kind of attestation key.
func TestAttest(t *testing.T) {
	ctx := t.Context()
	r := newRig(t)
	for name, tmpl := range map[string]attest.Template{
		"RSA": {Usage: attest.Attest}, "P-256": {Algorithm: attest.P256, Usage: attest.Attest}, "Windows": {Usage: attest.Attest, Hash: crypto.SHA1},
	} {
		var err error
		r.aik, err = r.tpm.CreateKey(ctx, tmpl)
		check(t, err)
		r.hello.AIKCreation = r.aik.Creation()
		d := r.enroll(t)
		if len(d.ID()) != 68 || !slices.Equal(d.AIKPublicArea, r.aik.PublicArea()) || !slices.Equal(d.EKCertificate, r.hello.EKCertificate) {
			t.Errorf("%s: device %+v", name, d)
		}
		key, err := r.tpm.CreateKey(ctx, attest.Template{Algorithm: attest.P256, Usage: attest.Sign})
		check(t, err)
		r.verifier.Policy = &verify.Policy{SecureBoot: true}
		result, err := r.verifier.Check(ctx, d, r.evidence(t, d, key))
		check(t, err)
		if len(result.Keys) != 1 || !key.Public().(interface{ Equal(crypto.PublicKey) bool }).Equal(result.Keys[0]) {
			t.Errorf("%s: keys %v", name, result.Keys)
		}
		b := result.Boot
		if !slices.Equal(b.Explained, []int{0, 1, 2, 3, 4, 5, 6, 7}) || !b.SecureBoot || b.Unknown != "" || len(b.Authorities) != 3 || len(b.Loaders) != 3 {
			t.Errorf("%s: boot %+v", name, b)
		}
		if result.Since != nil || result.Clock.Clock == 0 || len(result.PCRs[0]) != 32 || result.PCRs[8] != nil {
			t.Errorf("%s: %+v", name, result)
		}
		d.Clock = &result.Clock
		result, err = r.attest(t, d)
		if err != nil || result.Since == nil || result.Since.Resets != 0 || result.Since.Resumed {
			t.Errorf("%s, again: %+v, %v", name, result, err)
		}
	}
}

// TestRestart has the machine start between quotes, and then an attacker go back.
func TestRestart(t *testing.T) {
	r := newRig(t)
	d := r.enroll(t)
	first, err := r.attest(t, d)
	check(t, err)
	d.Clock = &first.Clock
	check(t, r.chip.Reboot())
	check(t, verifytest.Boot(r.chip, verifytest.EventLog()))
	second, err := r.attest(t, d)
	check(t, err)
	if second.Since.Resets != 1 || !second.Since.Resumed || second.Since.Firmware {
		t.Errorf("since %+v", second.Since)
	}
	r.verifier.Policy = &verify.Policy{SameBoot: true}
	_, err = r.attest(t, d)
	fails(t, "started", "check", err, verify.ErrPolicy)
	d.Clock = &second.Clock
	_, err = r.attest(t, d)
	check(t, err)
	ahead := second.Clock
	ahead.Resets++
	d.Clock = &ahead
	_, err = r.attest(t, d)
	fails(t, "resets went back", "check", err, verify.ErrClock)
}

// TestRefused has everything that a challenge is refused for.
func TestRefused(t *testing.T) {
	ctx := t.Context()
	r := newRig(t)
	other, err := attesttest.New(attesttest.Config{Seed: "another", FastKeys: true})
	check(t, err)
	defer other.Close()
	foreign := newRigOf(t, other)
	sign, err := r.tpm.CreateKey(ctx, attest.Template{Algorithm: attest.P256, Usage: attest.Sign})
	check(t, err)
	certified, err := r.tpm.Certify(ctx, sign, r.aik, nil)
	check(t, err)
	self, err := r.tpm.Certify(ctx, r.aik, r.aik, nil)
	check(t, err)
	untrusted, err := attesttest.OtherMaker().EKCertificate(r.ek.Public)
	check(t, err)
	reason := errors.New("reason")
	for name, tt := range map[string]struct {
		change func(*verify.Hello)
		want   error
	}{
		"nothing":            {func(h *verify.Hello) { *h = verify.Hello{} }, verify.ErrMalformed},
		"no statement":       {func(h *verify.Hello) { h.AIKCreation = nil }, verify.ErrMalformed},
		"no EK":              {func(h *verify.Hello) { h.EKPublicArea = nil }, verify.ErrMalformed},
		"another EK":         {func(h *verify.Hello) { h.EKPublicArea = foreign.ek.PublicArea }, ekcert.ErrMismatch},
		"AIK as EK":          {func(h *verify.Hello) { h.EKPublicArea = r.aik.PublicArea() }, ekcert.ErrMismatch},
		"no certificate":     {func(h *verify.Hello) { h.EKCertificate = nil }, ekcert.ErrMalformed},
		"CA certificate":     {func(h *verify.Hello) { h.EKCertificate = attesttest.Root().Raw }, ekcert.ErrMismatch},
		"no issuer":          {func(h *verify.Hello) { h.Issuers = nil }, ekcert.ErrUntrusted},
		"another maker":      {func(h *verify.Hello) { h.EKCertificate = untrusted }, ekcert.ErrUntrusted},
		"malformed issuer":   {func(h *verify.Hello) { h.Issuers = [][]byte{{1}} }, verify.ErrMalformed},
		"many issuers":       {func(h *verify.Hello) { h.Issuers = make([][]byte, 17) }, verify.ErrMalformed},
		"large certificate":  {func(h *verify.Hello) { h.EKCertificate = make([]byte, 1<<15) }, verify.ErrMalformed},
		"no creation data":   {func(h *verify.Hello) { h.AIKCreation.CreationData = nil }, verify.ErrMalformed},
		"certified itself":   {func(h *verify.Hello) { *h.AIKCreation = *self }, verify.ErrMalformed},
		"a key that signs":   {func(h *verify.Hello) { *h.AIKCreation = *certified; h.AIKCreation.CreationData = []byte{1} }, attest.ErrProof},
		"another's creation": {func(h *verify.Hello) { h.AIKCreation.Attest = foreign.aik.Creation().Attest }, attest.ErrProof},
		"changed signature":  {func(h *verify.Hello) { h.AIKCreation.Signature[20] ^= 1 }, attest.ErrProof},
		"changed area":       {func(h *verify.Hello) { h.AIKCreation.PublicArea[7] ^= 4 }, attest.ErrProof},
	} {
		h := r.hello
		s := r.aik.Creation()
		h.AIKCreation = s
		tt.change(&h)
		_, err := r.verifier.Challenge(ctx, &h)
		fails(t, name, "challenge", err, tt.want)
	}
	r.verifier.Admit = func(_ context.Context, cert *ekcert.Certificate, report *ekcert.Report) error {
		if cert.Vendor() != attesttest.Vendor || len(report.Chain) != 3 {
			t.Errorf("vendor %s, %d certificates", cert.Vendor(), len(report.Chain))
		}
		return reason
	}
	if _, err := r.verifier.Challenge(ctx, &r.hello); !errors.Is(err, reason) {
		t.Errorf("not admitted: %v", err)
	}
	r.verifier.Admit = nil
	r.now = attesttest.Root().NotAfter.Add(time.Hour)
	_, err = r.verifier.Challenge(ctx, &r.hello)
	fails(t, "expired", "challenge", err, ekcert.ErrExpired)
}

// TestChallengeOnce answers challenges wrongly, twice, too late, and as something else.
func TestChallengeOnce(t *testing.T) {
	ctx := t.Context()
	r := newRig(t)
	a := r.answer(t)
	_, err := r.verifier.Accept(ctx, a)
	check(t, err)
	_, err = r.verifier.Accept(ctx, a)
	fails(t, "twice", "accept", err, verify.ErrChallenge)

	a = r.answer(t)
	_, err = r.verifier.Accept(ctx, &verify.Answer{ID: a.ID, Secret: make([]byte, 32)})
	fails(t, "wrong", "accept", err, attest.ErrProof)
	_, err = r.verifier.Accept(ctx, a)
	fails(t, "right after wrong", "accept", err, verify.ErrChallenge)

	a = r.answer(t)
	r.now = r.now.Add(5 * time.Minute)
	_, err = r.verifier.Accept(ctx, a)
	fails(t, "late", "accept", err, verify.ErrChallenge)

	for name, a := range map[string]*verify.Answer{"none": nil, "empty": {}, "made up": {ID: "AAAAAAAAAAAAAAAAAAAAAA"}} {
		if _, err := r.verifier.Accept(ctx, a); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	// A request is no challenge, nor the other way round.
	d := r.enroll(t)
	e := r.evidence(t, d)
	_, err = r.verifier.Accept(ctx, &verify.Answer{ID: e.ID})
	fails(t, "request answered", "accept", err, verify.ErrChallenge)
	_, err = r.verifier.Check(ctx, d, e)
	fails(t, "used as answer", "check", err, verify.ErrChallenge)
	e = r.evidence(t, d)
	e.ID = r.answer(t).ID
	_, err = r.verifier.Check(ctx, d, e)
	fails(t, "challenge as request", "check", err, verify.ErrChallenge)
}

// TestStoreFull fills the store; room comes with time, and nothing is dropped early.
func TestStoreFull(t *testing.T) {
	r := newRig(t)
	r.verifier.Challenges = &verify.MemoryStore{Limit: 2, Now: func() time.Time { return r.now }}
	a, b := r.answer(t), r.answer(t)
	_, err := r.verifier.Challenge(t.Context(), &r.hello)
	fails(t, "full", "challenge", err, verify.ErrFull)
	var e *verify.Error
	if errors.As(err, &e) && !e.Retryable() {
		t.Error("it cannot be tried again")
	}
	_, err = r.verifier.Accept(t.Context(), a)
	check(t, err)
	_, err = r.verifier.Accept(t.Context(), b)
	check(t, err)
	r.answer(t)
	r.answer(t)
	r.now = r.now.Add(10 * time.Minute)
	r.answer(t)
}
