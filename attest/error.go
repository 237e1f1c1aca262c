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
	// opened, and by the methods of a [TPM] without a Transport.
	ErrNoTPM = errors.New("no TPM 2.0 found")

	// ErrNotFound is returned by [TPM.ReadNV] for an NV index that is not
	// defined or was never written.
	ErrNotFound = hresult.NewError(hresult.NotFound, "not in the TPM")

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
	tbsNotFound     = 0x8028400F // TBS_E_TPM_NOT_FOUND
	tbsAccessDenied = 0x80284012 // TBS_E_ACCESS_DENIED
	tbsBlocked      = 0x80280400 // TPM_E_COMMAND_BLOCKED: not passed on to the TPM
)

// HRESULT returns the code that Windows has for e, or 0 if it has none: a
// TPM_20_E_ code for a response code of the TPM, or a TBS_E_ code for a TPM that
// cannot be reached.
func (e *Error) HRESULT() uint32 {
	code := tbsCode(e.Err)
	switch {
	case e.RC != 0:
		return hresult.TPM(uint32(e.RC))
	case code != 0:
		return code
	case errors.Is(e.Err, fs.ErrPermission):
		return tbsAccessDenied
	case errors.Is(e.Err, ErrNoTPM):
		return tbsNotFound
	}
	return 0
}

// Retryable reports whether the same call may succeed later, because the TPM was
// busy, limits writes to NV memory, or is locked for a time (see After).
func (e *Error) Retryable() bool {
	switch e.RC {
	case tpm2.TPMRCRetry, tpm2.TPMRCYielded, tpm2.TPMRCTesting, tpm2.TPMRCNVRate, tpm2.TPMRCNVUnavailable, tpm2.TPMRCLockout:
		return true
	}
	return false
}

// Remedy returns what a technician can do, in English sentences, or "" if nothing
// is known.
func (e *Error) Remedy() string {
	switch {
	case e.HRESULT() == tbsAccessDenied:
		return "Allow this user to use the TPM: on Linux add the user to the group tss, on Windows run as administrator."
	case errors.Is(e.Err, ErrNoTPM):
		return "Turn on the TPM 2.0 in the firmware setup, or add one to the virtual machine."
	case hasRC(e.RC, tpm2.TPMRCLockout):
		if e.After > 0 {
			return fmt.Sprintf("Leave the machine on for %v, then try again: the TPM is locked after wrong authorization values.", e.After)
		}
		return "Wait until the TPM's lockout ends. The time counts only while the machine is on."
	case hasRC(e.RC, tpm2.TPMRCIntegrity):
		return "The key or the credential belongs to another TPM: make new keys."
	case hasRC(e.RC, tpm2.TPMRCBadAuth, tpm2.TPMRCAuthFail):
		return "The key or a hierarchy of the TPM has an authorization value: supply it, or clear the TPM."
	case hasRC(e.RC, tpm2.TPMRCHierarchy):
		return "Turn on the TPM's storage and endorsement hierarchies in the firmware setup."
	case hasRC(e.RC, tpm2.TPMRCObjectMemory, tpm2.TPMRCSessionMemory, tpm2.TPMRCSessionHandles, tpm2.TPMRCMemory):
		return "Other programs have filled the TPM: stop them or restart the machine. On Linux, use /dev/tpmrm0."
	case hasRC(e.RC, tpm2.TPMRCFailure, tpm2.TPMRCReboot, tpm2.TPMRCInitialize, tpm2.TPMRCUpgrade):
		return "Turn the machine off and on; if that does not help, update the TPM's firmware."
	}
	return ""
}
