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
	ErrNoTPM    = errors.New("no TPM 2.0 found")
	ErrNotFound = hresult.NewError(hresult.NotFound, "not in the TPM")
	ErrProof    = hresult.NewError(hresult.ValidationFailed, "proof does not hold") // wrapped by every failed Verify
)

// An Error is an operation that failed.
type Error struct {
	Op  string     // the TPM's command, such as "TPM2_ActivateCredential", or what was called
	RC  tpm2.TPMRC // 0 if the TPM did not answer with a code
	Err error      // wraps RC if that is not 0

	// After is when to try again, where RC is TPM_RC_LOCKOUT and the TPM says
	// so: what it needs, turned on, to forget one wrong authorization value. 0
	// if unknown.
	After time.Duration
}

// Error implements error.
func (e *Error) Error() string { return "attest: " + e.Op + ": " + e.Err.Error() }

// Unwrap returns e.Err.
func (e *Error) Unwrap() error { return e.Err }

// Operation returns e.Op.
func (e *Error) Operation() string { return e.Op }

// ResponseCode returns e.RC (TCG Part 2, 6.6), or 0.
func (e *Error) ResponseCode() uint32 { return uint32(e.RC) }

// Codes of the Windows SDK's winerror.h.
const (
	tbsNotFound     = 0x8028400F // TBS_E_TPM_NOT_FOUND
	tbsAccessDenied = 0x80284012 // TBS_E_ACCESS_DENIED
	tbsBlocked      = 0x80280400 // TPM_E_COMMAND_BLOCKED: not passed on to the TPM
)

// HRESULT returns the TPM_20_E_ or TBS_E_ code Windows has for e, or 0.
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

// Retryable reports whether the same call may succeed later: the TPM was busy,
// limits writes, or is locked for a time.
func (e *Error) Retryable() bool {
	switch e.RC {
	case tpm2.TPMRCRetry, tpm2.TPMRCYielded, tpm2.TPMRCTesting, tpm2.TPMRCNVRate, tpm2.TPMRCNVUnavailable, tpm2.TPMRCLockout:
		return true
	}
	return false
}

// Remedy returns what a technician can do, or "".
func (e *Error) Remedy() string {
	switch {
	case e.HRESULT() == tbsAccessDenied:
		return "Let this user use the TPM: on Linux add it to the group tss, on Windows run as administrator."
	case errors.Is(e.Err, ErrNoTPM):
		return "Turn the TPM 2.0 on in the firmware's setup, or give the virtual machine one."
	case hasRC(e.RC, tpm2.TPMRCLockout):
		if e.After > 0 {
			return fmt.Sprintf("Leave the machine on for %v, then try again: the TPM is locked after wrong authorization values.", e.After)
		}
		return "Wait for the TPM's lockout time; it counts only while the machine is on."
	case hasRC(e.RC, tpm2.TPMRCIntegrity):
		return "The key or the credential belongs to another TPM: make the keys anew."
	case hasRC(e.RC, tpm2.TPMRCBadAuth, tpm2.TPMRCAuthFail):
		return "The key or a hierarchy of the TPM has an authorization value: supply it, or clear the TPM."
	case hasRC(e.RC, tpm2.TPMRCHierarchy):
		return "Turn the TPM's storage and endorsement hierarchies on in the firmware's setup."
	case hasRC(e.RC, tpm2.TPMRCObjectMemory, tpm2.TPMRCSessionMemory, tpm2.TPMRCSessionHandles, tpm2.TPMRCMemory):
		return "Other programs fill the TPM: stop them or restart the machine; on Linux use /dev/tpmrm0."
	case hasRC(e.RC, tpm2.TPMRCFailure, tpm2.TPMRCReboot, tpm2.TPMRCInitialize, tpm2.TPMRCUpgrade):
		return "Turn the machine off and on; if that does not help, update the TPM's firmware."
	}
	return ""
}
