package verify_test

import (
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/whiteglove/whiteglove/attest"
	"github.com/whiteglove/whiteglove/verify"
	"github.com/whiteglove/whiteglove/verify/verifytest"
)

// A failing reader or writer fails.
type failing struct{}

func (failing) Read([]byte) (int, error)  { return 0, io.ErrUnexpectedEOF }
func (failing) Write([]byte) (int, error) { return 0, io.ErrClosedPipe }

// TestNil calls every function and method with nothing.
func TestNil(t *testing.T) {
	ctx := t.Context()
	second := func(_ any, err error) error { return err }
	r := newRig(t)
	d := r.enroll(t)
	var none *verify.Verifier
	q, err := r.verifier.Request(ctx, d)
	check(t, err)
	for name, err := range map[string]error{
		"Challenge":            second(none.Challenge(ctx, &r.hello)),
		"Challenge, no client": second(new(verify.Verifier).Challenge(ctx, &r.hello)),
		"Challenge, none":      second(r.verifier.Challenge(ctx, nil)),
		"Accept":               second(none.Accept(ctx, &verify.Answer{})),
		"Accept, none":         second(r.verifier.Accept(ctx, nil)),
		"Request":              second(none.Request(ctx, d)),
		"Request, none":        second(r.verifier.Request(ctx, nil)),
		"Request, empty":       second(r.verifier.Request(ctx, &verify.Device{})),
		"Check":                second(none.Check(ctx, d, &verify.Evidence{})),
		"Check, no device":     second(r.verifier.Check(ctx, nil, &verify.Evidence{})),
		"Check, none":          second(r.verifier.Check(ctx, d, nil)),
		"Encode":               verify.Encode(io.Discard, nil),
		"Encode, no bank":      verify.Encode(io.Discard, &verify.Request{}),
		"Encode, no quote":     verify.Encode(failing{}, &verify.Evidence{}),
		"Decode":               verify.Decode(strings.NewReader("{}"), nil),
		"Decode, read":         verify.Decode(failing{}, new(verify.Again)),
		"Evidence":             second((*verify.Request)(nil).Evidence(ctx, r.tpm, r.aik)),
		"Evidence, no PCRs":    second(new(verify.Request).Evidence(ctx, r.tpm, r.aik)),
	} {
		var e *verify.Error
		if !errors.As(err, &e) || e.Op == "" || e.Operation() != e.Op {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, err := range map[string]error{
		"Evidence, no TPM": second(q.Evidence(ctx, nil, r.aik)),
		"Evidence, no AIK": second(q.Evidence(ctx, r.tpm, nil)),
		"Evidence, no key": second(q.Evidence(ctx, r.tpm, r.aik, nil)),
	} {
		var e *attest.Error
		if !errors.As(err, &e) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if verifytest.Boot(nil, nil) == nil {
		t.Error("an empty log")
	}
}
