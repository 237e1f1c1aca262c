package verify

import (
	"errors"
	"fmt"
	"strings"

	"github.com/whiteglove/whiteglove/attest"
	"github.com/whiteglove/whiteglove/internal/hresult"
	"github.com/whiteglove/whiteglove/internal/plain"
)

// Errors that an [Error] may wrap.
var (
	// ErrMalformed is returned if a message cannot be read, or a part of it is missing
	// or too large.
	ErrMalformed = hresult.NewError(hresult.InvalidData, "message is malformed")

	// ErrChallenge is returned if no challenge or request with the id is open: it was
	// never made, was answered before, has expired, is another device's, or asks for
	// other PCRs than the policy does by now.
	ErrChallenge = hresult.NewError(hresult.NotFound, "challenge is not open")

	// ErrFull is returned if too many challenges are open.
	ErrFull = hresult.NewError(busy, "too many challenges are open")

	// ErrClock is returned if the TPM's time has gone back since the last quote.
	ErrClock = hresult.NewError(hresult.ValidationFailed, "the TPM's time has gone back")

	// ErrLog is returned for an event log that cannot be read.
	ErrLog = hresult.NewError(hresult.InvalidData, "event log cannot be read")

	// ErrPolicy is returned if a quote that holds does not show what the [Policy] asks
	// for.
	ErrPolicy = hresult.NewError(hresult.AccessDenied, "policy is not met")
)

const busy = 0x800700AA // ERROR_BUSY

// An Error is a failed operation of a verifier or a message that cannot be read.
type Error struct {
	// Op is the operation: "challenge", "accept", "request" or "check" of a
	// [Verifier]; "evidence" ([Request.Evidence]); "encode" or "decode".
	Op string

	Err error // the cause, never nil
}

// failed returns err as that of an operation.
func failed(op string, err error) *Error { return &Error{Op: op, Err: err} }

// malformed returns an error that wraps ErrMalformed and what else is formatted.
func malformed(format string, args ...any) error {
	return fmt.Errorf("%w: %w", ErrMalformed, fmt.Errorf(format, args...))
}

// A badPolicy is the text of a policy that wraps ErrMalformed. A policy is no message for
// its author.
type badPolicy struct{ err error }

// Error returns the text of the error as one of a policy.
func (b *badPolicy) Error() string {
	return "policy is malformed" + strings.TrimPrefix(b.err.Error(), ErrMalformed.Error())
}

// Unwrap returns the error.
func (b *badPolicy) Unwrap() error { return b.err }

// Remedy returns what its author can do.
func (b *badPolicy) Remedy() string { return "Correct the policy." }

// Error returns "verify: ", e.Op and the text of e.Err.
func (e *Error) Error() string { return "verify: " + e.Op + ": " + plain.Text(e.Err) }

// Unwrap returns e.Err.
func (e *Error) Unwrap() error { return e.Err }

// Operation returns e.Op.
func (e *Error) Operation() string { return e.Op }

// HRESULT returns the code that Windows has for the cause, or 0 if it has none.
func (e *Error) HRESULT() uint32 {
	var coded interface {
		error
		HRESULT() uint32
	}
	if errors.As(e.Err, &coded) {
		return coded.HRESULT()
	}
	return 0
}

// Retryable reports whether the same may succeed later. After [ErrChallenge] the
// device has to ask for a new challenge.
func (e *Error) Retryable() bool {
	if errors.Is(e.Err, ErrFull) {
		return true
	}
	var judged interface {
		error
		Retryable() bool
	}
	return errors.As(e.Err, &judged) && judged.Retryable()
}

// remedies has what helps, by cause.
var remedies = []struct {
	err    error
	remedy string
}{
	{ErrMalformed, "The device and the verifier may be of different versions, or something else sent the message."},
	{ErrChallenge, "Ask for a new challenge. A challenge can be answered once, within minutes, by the device that it was made for."},
	{ErrFull, "Try again later. If this lasts, limit who may send a hello."},
	{ErrClock, "The evidence is older than the last, or the TPM was tampered with. Have the device attest again; if it fails again, examine it. An emulator whose state was lost is another TPM: begin anew with it, and make the verifier forget the old one."},
	{ErrLog, "Read the event log of the device again. Logs with SM3 digests are not supported."},
	{ErrPolicy, "Compare the device's PCRs with the policy: after an update of firmware or boot loader, the policy needs the new values."},
	{attest.ErrProof, "The TPM's proof does not hold: it is of another key or nonce, or was changed. Have the device attest again; if it fails again, examine it."},
}

// Remedy returns what an administrator can do, in English sentences, or "" if nothing
// is known.
func (e *Error) Remedy() string {
	if policy, ok := errors.AsType[*badPolicy](e.Err); ok {
		return policy.Remedy()
	}
	for _, r := range remedies {
		if errors.Is(e.Err, r.err) {
			return r.remedy
		}
	}
	var advised interface {
		error
		Remedy() string
	}
	if errors.As(e.Err, &advised) {
		return advised.Remedy()
	}
	return ""
}
