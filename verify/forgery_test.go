package verify_test

import (
	"bytes"
	"crypto"
	"crypto/sha256"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-tpm/tpm2"

	"github.com/whiteglove/whiteglove/attest"
	"github.com/whiteglove/whiteglove/verify"
	"github.com/whiteglove/whiteglove/verify/verifytest"
)

// TestForgery changes evidence in every way that must not pass.
func TestForgery(t *testing.T) {
	ctx := t.Context()
	r := newRig(t)
	d := r.enroll(t)
	otherAIK := r.newAIK(t)
	sign, err := r.tpm.CreateKey(ctx, attest.Template{Algorithm: attest.P256, Usage: attest.Sign})
	check(t, err)
	old := r.evidence(t, d, sign)
	requote := func(e *verify.Evidence, aik *attest.Key, nonce []byte, bank crypto.Hash, pcrs ...int) {
		t.Helper()
		var err error
		e.Quote, err = r.tpm.Quote(ctx, aik, nonce, bank, pcrs...)
		check(t, err)
	}
	var nonce []byte // of the request
	for name, tt := range map[string]struct {
		change func(*verify.Evidence)
		want   error
	}{
		"nothing":            {func(e *verify.Evidence) { *e = verify.Evidence{} }, verify.ErrMalformed},
		"no quote":           {func(e *verify.Evidence) { e.Quote = nil }, verify.ErrMalformed},
		"empty quote":        {func(e *verify.Evidence) { e.Quote = new(attest.Quote) }, attest.ErrProof},
		"old quote":          {func(e *verify.Evidence) { e.Quote = old.Quote }, attest.ErrProof},
		"old id":             {func(e *verify.Evidence) { e.ID = "AAAAAAAAAAAAAAAAAAAAAA" }, verify.ErrChallenge},
		"no device":          {func(e *verify.Evidence) { e.Device = "" }, verify.ErrChallenge},
		"another AIK":        {func(e *verify.Evidence) { requote(e, otherAIK, nonce, crypto.SHA256, 0, 1, 2, 3, 4, 5, 6, 7) }, attest.ErrProof},
		"another nonce":      {func(e *verify.Evidence) { requote(e, r.aik, nonce[1:], crypto.SHA256, 0, 1, 2, 3, 4, 5, 6, 7) }, attest.ErrProof},
		"another bank":       {func(e *verify.Evidence) { requote(e, r.aik, nonce, crypto.SHA384, 0, 1, 2, 3, 4, 5, 6, 7) }, attest.ErrProof},
		"bank by name":       {func(e *verify.Evidence) { e.Quote.Bank = crypto.SHA512_256 }, attest.ErrProof},
		"fewer PCRs":         {func(e *verify.Evidence) { requote(e, r.aik, nonce, crypto.SHA256, 0, 1, 2, 3, 4, 5, 6) }, attest.ErrProof},
		"more PCRs":          {func(e *verify.Evidence) { requote(e, r.aik, nonce, crypto.SHA256, 0, 1, 2, 3, 4, 5, 6, 7, 8) }, attest.ErrProof},
		"PCR left out":       {func(e *verify.Evidence) { e.Quote.PCRs[7] = nil }, attest.ErrProof},
		"PCRs exchanged":     {func(e *verify.Evidence) { e.Quote.PCRs[4], e.Quote.PCRs[7] = e.Quote.PCRs[7], e.Quote.PCRs[4] }, attest.ErrProof},
		"PCR changed":        {func(e *verify.Evidence) { e.Quote.PCRs[0] = make([]byte, 32) }, attest.ErrProof},
		"too few PCRs":       {func(e *verify.Evidence) { e.Quote.PCRs = e.Quote.PCRs[:8] }, attest.ErrProof},
		"statement as quote": {func(e *verify.Evidence) { e.Quote.Attest, e.Quote.Signature = e.Keys[0].Attest, e.Keys[0].Signature }, attest.ErrProof},
		"key of before":      {func(e *verify.Evidence) { e.Keys = old.Keys }, attest.ErrProof},
		"another key":        {func(e *verify.Evidence) { e.Keys[0].PublicArea = r.aik.PublicArea() }, attest.ErrProof},
		"no key":             {func(e *verify.Evidence) { e.Keys[0] = nil }, verify.ErrMalformed},
		"creation as key":    {func(e *verify.Evidence) { e.Keys[0] = r.aik.Creation() }, verify.ErrMalformed},
		"many keys":          {func(e *verify.Evidence) { e.Keys = make([]*attest.Statement, 17) }, verify.ErrMalformed},
		"large log":          {func(e *verify.Evidence) { e.EventLog = make([]byte, 1<<20+1) }, verify.ErrMalformed},
		"no log that parses": {func(e *verify.Evidence) { e.EventLog = []byte("log") }, verify.ErrLog},
	} {
		q, err := r.verifier.Request(ctx, d)
		check(t, err)
		nonce = q.Nonce
		e, err := q.Evidence(ctx, r.tpm, r.aik, sign)
		check(t, err)
		tt.change(e)
		_, err = r.verifier.Check(ctx, d, e)
		fails(t, name, "check", err, tt.want)
	}
	e := r.evidence(t, d)
	_, err = r.verifier.Check(ctx, d, e)
	check(t, err)
	_, err = r.verifier.Check(ctx, d, e)
	fails(t, "twice", "check", err, verify.ErrChallenge)
	e = r.evidence(t, d)
	r.now = r.now.Add(time.Hour)
	_, err = r.verifier.Check(ctx, d, e)
	fails(t, "late", "check", err, verify.ErrChallenge)

	// The policy needs more than what was asked for before it was set.
	e = r.evidence(t, d)
	r.verifier.Policy = &verify.Policy{PCRs: []int{0}, Loaders: []verify.Digest{make([]byte, 32)}}
	_, err = r.verifier.Check(ctx, d, e)
	fails(t, "policy changed", "check", err, verify.ErrChallenge)
	e = r.evidence(t, d)
	r.verifier.Policy = &verify.Policy{Bank: crypto.SHA384, PCRs: []int{0, 4}}
	_, err = r.verifier.Check(ctx, d, e)
	fails(t, "bank changed", "check", err, verify.ErrChallenge)
	r.verifier.Policy = nil

	// Another device of the verifier, whose own evidence would pass.
	first := r.aik
	r.aik = otherAIK
	r.hello.AIKCreation = otherAIK.Creation()
	other := r.enroll(t)
	e = r.evidence(t, other)
	_, err = r.verifier.Check(ctx, d, e)
	fails(t, "another device's", "check", err, verify.ErrChallenge)
	r.aik = first
}

// TestLog changes the log: what it claims must be in the PCRs.
func TestLog(t *testing.T) {
	ctx := t.Context()
	r := newRig(t)
	d := r.enroll(t)
	log := verifytest.EventLog()
	off := bytes.Replace(log, []byte("S\x00e\x00c\x00u\x00r\x00e\x00B\x00o\x00o\x00t\x00\x01"), []byte("S\x00e\x00c\x00u\x00r\x00e\x00B\x00o\x00o\x00t\x00\x00"), 1)
	if bytes.Equal(off, log) {
		t.Fatal("the log does not say that secure boot is on")
	}
	spans := events(t, log)
	last := spans[len(spans)-1]
	for name, tt := range map[string]struct {
		policy verify.Policy
		log    []byte
		want   error // nil if it passes
	}{
		"as it is":                       {verify.Policy{SecureBoot: true}, log, nil},
		"none":                           {verify.Policy{}, nil, nil},
		"none, though needed":            {verify.Policy{SecureBoot: true}, nil, verify.ErrPolicy},
		"none, loaders":                  {verify.Policy{Loaders: []verify.Digest{make([]byte, 32)}}, nil, verify.ErrPolicy},
		"none, explained":                {verify.Policy{Explained: []int{0}}, nil, verify.ErrPolicy},
		"cut at an event":                {verify.Policy{}, log[:last.start], verify.ErrPolicy},
		"cut in an event":                {verify.Policy{}, log[:last.start+10], verify.ErrLog},
		"without PCR 7":                  {verify.Policy{}, without(log, spans, 7), verify.ErrPolicy},
		"without PCR 7, secure boot":     {verify.Policy{SecureBoot: true, Explained: []int{}}, without(log, spans, 7), verify.ErrPolicy},
		"without PCR 4, which is no one": {verify.Policy{SecureBoot: true, Explained: []int{7}}, without(log, spans, 4), nil},
		"data changed":                   {verify.Policy{SecureBoot: true}, off, verify.ErrPolicy},
		"event of PCR 7 again":           {verify.Policy{SecureBoot: true}, slices.Concat(log, log[spans[1].start:spans[1].end]), verify.ErrPolicy},
		"type changed":                   {verify.Policy{SecureBoot: true}, retyped(log, spans, 7, 6), verify.ErrPolicy},
		"another machine's":              {verify.Policy{}, ubuntu(t), verify.ErrPolicy},
	} {
		r.verifier.Policy = &tt.policy
		e := r.evidence(t, d)
		e.EventLog = tt.log
		_, err := r.verifier.Check(ctx, d, e)
		if tt.want == nil {
			if err != nil {
				t.Errorf("%s: %v", name, err)
			}
			continue
		}
		fails(t, name, "check", err, tt.want)
		if tt.want == verify.ErrLog && !strings.HasSuffix(err.Error(), ": event log cannot be read: it is damaged or cut off") {
			t.Error(err)
		}
	}
}

// TestExtended has somebody extend PCRs after the machine was started, to make the log
// say more than happened.
func TestExtended(t *testing.T) {
	ctx := t.Context()
	chip := newRig(t)
	d := chip.enroll(t)
	log := verifytest.EventLog()
	spans := events(t, log)
	r := chip
	r.verifier.Policy = nil
	result, err := r.attest(t, d)
	check(t, err)
	accepted := result.Boot.Loaders
	r.verifier.Policy = &verify.Policy{Loaders: accepted}
	_, err = r.attest(t, d)
	check(t, err)

	// An evil loader ran and is in PCR 4. Its event is disguised as a firmware blob.
	digest := sha256.Sum256([]byte("evil"))
	check(t, extend(chip, 4, digest[:]))
	evil := event(4, 0x80000008, digest[:], []byte("harmless"))
	e := r.evidence(t, d)
	e.EventLog = slices.Concat(log, evil)
	_, err = r.verifier.Check(ctx, d, e)
	fails(t, "disguised loader", "check", err, verify.ErrPolicy)
	if want := fmt.Sprintf("boot loader %x is not accepted", digest); !strings.HasSuffix(err.Error(), want) {
		t.Errorf("disguised loader: %v", err)
	}

	// Secure boot was off: the variable's real event is disguised, and another one
	// that says on is put into PCR 7 afterwards.
	for _, s := range spans {
		if s.pcr != 7 {
			continue
		}
		check(t, extend(chip, 7, s.sha256))
	}
	r.verifier.Policy = &verify.Policy{SecureBoot: true, Explained: []int{}}
	again := slices.Clone(retyped(log, spans, 7, 2))
	for _, s := range spans {
		if s.pcr == 7 {
			again = append(again, log[s.start:s.end]...)
		}
	}
	e = r.evidence(t, d)
	e.EventLog = again
	_, err = r.verifier.Check(ctx, d, e)
	fails(t, "disguised variables", "check", err, verify.ErrPolicy)
	if !strings.Contains(err.Error(), "secure boot: unexpected event type") {
		t.Errorf("disguised variables: %v", err)
	}
}

// extend extends a PCR of the bank SHA-256.
func extend(r *rig, pcr int, digest []byte) error {
	_, err := tpm2.PCRExtend{
		PCRHandle: tpm2.AuthHandle{Handle: tpm2.TPMHandle(pcr), Auth: tpm2.PasswordAuth(nil)},
		Digests:   tpm2.TPMLDigestValues{Digests: []tpm2.TPMTHA{{HashAlg: tpm2.TPMAlgSHA256, Digest: digest}}},
	}.Execute(r.chip)
	return err
}
