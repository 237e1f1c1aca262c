package attest

import (
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/google/go-tpm/tpm2"

	"github.com/whiteglove/whiteglove/internal/hresult"
)

// Errors that an [Error] may wrap.
var (
	// ErrNoTPM is returned by [Open] if there is no TPM 2.0 or it cannot be
	// opened, and by the methods of a [TPM] that is nil, has no Transport or is
	// a TPM 1.2.
	ErrNoTPM = errors.New("no TPM 2.0 found")

	// ErrNoAnswer is returned by the methods of a [TPM] that does not answer a
	// command in the time that [TPM] describes, and by all later calls. The error of
	// the call that waited for the answer wraps the error of ctx, too, if ctx had ended.
	// It has a method Timeout that returns true.
	ErrNoAnswer error = noAnswer{}

	// ErrNotFound is returned by [TPM.ReadNV] for an NV index that is not
	// defined or was never written, and by [TPM.EK] and [TPM.EKs] if the TPM
	// has no endorsement key that can be used.
	ErrNotFound = hresult.NewError(hresult.NotFound, "not in the TPM")

	// ErrOtherEK is returned by [TPM.ActivateCredential] and [TPM.PrepareEK] for an
	// endorsement key of [DefaultEK] if the TPM has another one, or one from another
	// template.
	ErrOtherEK = errors.New("the TPM has another endorsement key")

	// ErrProof is returned by [Statement.Verify] and [Quote.Verify] for a proof
	// that does not hold, and by [TPM.CreateKey] and [TPM.LoadKey] for a
	// creation statement that does not.
	ErrProof = hresult.NewError(hresult.ValidationFailed, "proof does not hold")
)

// An Error is an operation that failed.
type Error struct {
	// Op is the TPM's command, such as "TPM2_ActivateCredential", or the
	// function that was called, such as "LoadKey". It is "TPM" if ctx ended
	// before other methods had returned, or if there is no Transport.
	Op string

	// RC is the response code with which the TPM refused the command, with the
	// bits for the handle, parameter or session that it is about (TCG Part 2,
	// 6.6). It is 0 if the TPM did not answer with a code.
	RC tpm2.TPMRC

	// Err is the cause. It is never nil, and wraps RC if that is not 0.
	Err error

	// After is how long to wait before trying again if RC is TPM_RC_LOCKOUT:
	// the time that the TPM has to be turned on to forget one wrong
	// authorization value. It is 0 if that is unknown.
	After time.Duration

	refused string // what has another authorization value than the one that was used
}

// Error returns "attest: ", e.Op and the text of e.Err.
func (e *Error) Error() string { return "attest: " + e.Op + ": " + e.Err.Error() }

// Unwrap returns e.Err.
func (e *Error) Unwrap() error { return e.Err }

// Operation returns e.Op.
func (e *Error) Operation() string { return e.Op }

// ResponseCode returns e.RC.
func (e *Error) ResponseCode() uint32 { return uint32(e.RC) }

// Codes of the Windows SDK's winerror.h.
const (
	busy              = 0x800700AA // ERROR_BUSY
	nvDefined         = 0x8028014C // TPM_20_E_NV_DEFINED
	tbsInvalidContext = 0x80284004 // TBS_E_INVALID_CONTEXT
	tbsIOError        = 0x80284006 // TBS_E_IOERROR
	tbsNotRunning     = 0x80284008 // TBS_E_SERVICE_NOT_RUNNING
	tbsStartPending   = 0x8028400B // TBS_E_SERVICE_START_PENDING
	tbsCanceled       = 0x8028400D // TBS_E_COMMAND_CANCELED
	tbsNotFound       = 0x8028400F // TBS_E_TPM_NOT_FOUND
	tbsDisabled       = 0x80284010 // TBS_E_SERVICE_DISABLED
	tbsNoLog          = 0x80284011 // TBS_E_NO_EVENT_LOG
	tbsAccessDenied   = 0x80284012 // TBS_E_ACCESS_DENIED
	tbsBlocked        = 0x80280400 // TPM_E_COMMAND_BLOCKED: not passed on to the TPM
	tbsInvalidHandle  = 0x80280401 // TPM_E_INVALID_HANDLE: not one of the context's
)

// HRESULT returns the code that Windows has for e: a TPM_20_E_ code for a response code
// of the TPM, a TBS_E_ code for a TPM that cannot be reached or does not answer, and
// ERROR_INVALID_PARAMETER for what cannot be asked of a TPM. It is 0 if ctx ended first,
// unless the TPM did not answer.
func (e *Error) HRESULT() uint32 {
	if e.RC != 0 {
		return hresult.TPM(uint32(e.RC))
	}
	if code := tbsCode(e.Err); code != 0 {
		return code
	}
	return e.failure().hresult
}

// Retryable reports whether the same call may succeed later, because the TPM was
// busy, limits writes to NV memory, or is locked for a time (see After), or because TBS
// is starting or canceled the command, as it does with long ones when the machine goes
// to sleep.
func (e *Error) Retryable() bool {
	switch tbsCode(e.Err) {
	case tbsStartPending, tbsCanceled:
		return true
	}
	switch e.RC {
	case tpm2.TPMRCRetry, tpm2.TPMRCYielded, tpm2.TPMRCTesting, tpm2.TPMRCNVRate, tpm2.TPMRCNVUnavailable, tpm2.TPMRCLockout:
		return true
	}
	return false
}

// Remedy returns what a technician can do, in English sentences, or "" if nothing
// is known. If an error of the Transport has a method Remedy, it is that.
func (e *Error) Remedy() string {
	code := tbsCode(e.Err)
	var own interface {
		error
		Remedy() string
	}
	switch {
	case e.RC == 0 && errors.As(e.Err, &own):
		return own.Remedy()
	case code == tbsAccessDenied && !errors.Is(e.Err, errLogDenied):
		return (&Error{Err: fs.ErrPermission}).Remedy()
	case tbsRemedy(code) != "":
		return tbsRemedy(code)
	case e.RC == tpm2.TPMRCLockout && e.After > 0:
		return fmt.Sprintf("Leave the machine on for %v, then try again: the TPM is locked after wrong authorization values.", e.After)
	case e.RC == tpm2.TPMRCLockout:
		return "Wait until the TPM's lockout ends. The time counts only while the machine is on."
	case e.RC == 0 && (code == 0 || code == tbsNotFound || code == tbsNoLog || code == tbsAccessDenied):
		return e.failure().remedy
	}
	if e.refused != "" {
		return refusedRemedy(e.refused)
	}
	for _, r := range remedies {
		if hasRC(e.RC, r.codes...) {
			return r.remedy
		}
	}
	return ""
}
