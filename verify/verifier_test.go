package verify_test

import (
	"context"
	"crypto"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/whiteglove/whiteglove/attest"
	"github.com/whiteglove/whiteglove/attest/attesttest"
	"github.com/whiteglove/whiteglove/ekcert"
	"github.com/whiteglove/whiteglove/verify"
	"github.com/whiteglove/whiteglove/verify/verifytest"
)

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
		"another maker":      {func(h *verify.Hello) { h.EKCertificate = untrusted.Raw }, ekcert.ErrUntrusted},
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

// TestUnmeasured has machines whose firmware measured nothing into PCR 7 or PCR 4: that
// shows neither secure boot nor a boot loader.
func TestUnmeasured(t *testing.T) {
	r := newRig(t)
	d := r.enroll(t)
	for pcr, tt := range map[int]struct {
		policy verify.Policy
		says   string
	}{
		7: {verify.Policy{SecureBoot: true}, "secure boot: the log has no events that lead to PCR 7"},
		4: {verify.Policy{Loaders: []verify.Digest{make([]byte, 32)}}, "no boot loader was measured"},
	} {
		log := verifytest.EventLog()
		log = without(log, events(t, log), pcr)
		check(t, r.chip.Reboot())
		check(t, verifytest.Boot(r.chip, log))
		r.verifier.Policy = nil
		e := r.evidence(t, d)
		e.EventLog = log
		result, err := r.verifier.Check(t.Context(), d, e)
		check(t, err)
		if !slices.Contains(result.Boot.Explained, pcr) {
			t.Errorf("PCR %d: %+v", pcr, result.Boot)
		}
		r.verifier.Policy = &tt.policy
		e = r.evidence(t, d)
		e.EventLog = log
		_, err = r.verifier.Check(t.Context(), d, e)
		fails(t, tt.says, "check", err, verify.ErrPolicy)
		if !strings.HasSuffix(err.Error(), ": "+tt.says) {
			t.Error(err)
		}
	}
}
