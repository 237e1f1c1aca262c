package verify_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/whiteglove/whiteglove/verify"
	"github.com/whiteglove/whiteglove/verify/verifytest"
)

// The policy of a result holds for the same machine, by way of JSON too, and for no machine
// that has started something else.
func TestLearn(t *testing.T) {
	r := newRig(t)
	d := r.enroll(t)
	first, err := r.attest(t, d)
	check(t, err)
	var text bytes.Buffer
	check(t, verify.Encode(&text, first.Policy()))
	p := new(verify.Policy)
	check(t, verify.Decode(&text, p))
	if !p.SecureBoot || len(p.Loaders) == 0 || len(p.Golden) != 8 || p.Bank != first.Bank || p.Bank.Size() != 32 {
		t.Fatalf("%+v", p)
	}
	r.verifier.Policy = p
	_, err = r.attest(t, d)
	check(t, err)

	check(t, verifytest.Extend(r.chip, 4, []byte("a bootkit")))
	_, err = r.attest(t, d)
	if !errors.Is(err, verify.ErrPolicy) || !strings.Contains(err.Error(), "PCR 4") {
		t.Errorf("%v", err)
	}
}

// A device without a log has a policy without one.
func TestLearnWithoutLog(t *testing.T) {
	r := newRig(t)
	d := r.enroll(t)
	e := r.evidence(t, d)
	e.EventLog = nil
	first, err := r.verifier.Check(t.Context(), d, e)
	check(t, err)
	if p := first.Policy(); p.SecureBoot || p.Loaders != nil || p.Explained != nil || len(p.PCRs) != 8 {
		t.Errorf("%+v", p)
	}
}

func TestExtendRefused(t *testing.T) {
	if err := verifytest.Extend(newRig(t).chip, 24, nil); err == nil || !strings.Contains(err.Error(), "PCR 24") {
		t.Error(err)
	}
}
