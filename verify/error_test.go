package verify_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/whiteglove/whiteglove/attest"
	"github.com/whiteglove/whiteglove/ekcert"
	"github.com/whiteglove/whiteglove/verify"
)

// TestError has the code and the advice of each error, its own and those of others.
func TestError(t *testing.T) {
	seen := make(map[string]bool)
	for _, err := range []error{
		verify.ErrMalformed, verify.ErrChallenge, verify.ErrFull, verify.ErrClock, verify.ErrLog, verify.ErrPolicy, attest.ErrProof,
	} {
		e := &verify.Error{Op: "check", Err: fmt.Errorf("x: %w", err)}
		if e.HRESULT() == 0 || e.Remedy() == "" || seen[e.Remedy()] || e.Retryable() != errors.Is(err, verify.ErrFull) || e.Error() != "verify: check: x: "+err.Error() {
			t.Errorf("%v: %#x, %q, %v", e, e.HRESULT(), e.Remedy(), e.Retryable())
		}
		seen[e.Remedy()] = true
	}
	e := &verify.Error{Op: "check", Err: errors.New("other")}
	if e.HRESULT() != 0 || e.Remedy() != "" || e.Retryable() {
		t.Errorf("other: %#x, %q, %v", e.HRESULT(), e.Remedy(), e.Retryable())
	}
	for status, retry := range map[int]bool{503: true, 404: false} {
		other := &ekcert.Error{Op: "fetch", HTTPStatus: status, Err: ekcert.ErrNotFound}
		if retry {
			other.Err = errors.New("busy")
		}
		e := &verify.Error{Op: "challenge", Err: other}
		if e.HRESULT() != other.HRESULT() || e.Remedy() != other.Remedy() || e.Retryable() != retry {
			t.Errorf("%v: %#x, %q, %v", e, e.HRESULT(), e.Remedy(), e.Retryable())
		}
	}
}
