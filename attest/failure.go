package attest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"runtime"
	"strings"
	"syscall"

	"github.com/google/go-tpm/tpm2"

	"github.com/whiteglove/whiteglove/internal/hresult"
	"github.com/whiteglove/whiteglove/internal/misuse"
)

// Reasons of failures that have a remedy of their own.
var (
	errNoTransport = fmt.Errorf("%w: %w", ErrNoTPM, misuse.Errorf("TPM.Transport is not set (or the TPM is nil): use attest.Open"))

	errTPM12     = errors.New("it is a TPM 1.2, which cannot do this")
	errSystem    = errors.New("none is supported on " + runtime.GOOS)
	errNotDevice = errors.New("it is not a device")
	errNotTPM    = errors.New("it is the device of something else")
	errAnswer    = errors.New("malformed answer")
	errKeyFile   = errors.New("not a key file that can be used")

	errNoLog     = errors.New("the system has no event log")
	errLogDenied = errors.New("this user may not read the event log")

	errPath     = errors.New("on Windows the TPM has no path")
	errReopened = errors.New("TBS was started again, and the TPM's objects are lost")
)

// A failure is a kind of error that has no response code of the TPM.
type failure struct {
	is      []error // any of these is wrapped
	hresult uint32
	remedy  string
}

// Codes of Windows for connections, which are not those of package syscall:
// WSAECONNABORTED, WSAECONNRESET and WSAECONNREFUSED.
const (
	wsaAborted syscall.Errno = 10053
	wsaReset   syscall.Errno = 10054
	wsaRefused syscall.Errno = 10061
)

const (
	checkPath = "Check the name: it must be that of the TPM's device or of an emulator's socket. On Linux the TPM is /dev/tpmrm0; if that is missing, turn the TPM on in the firmware setup."
	checkChip = "Turn the machine off and on. If the TPM still fails, turn it off and on in the firmware setup; if that does not help, have it replaced."
)

// failures are in the order of their weight: the first that is wrapped counts.
var failures = []failure{
	{[]error{ErrNoAnswer}, tbsIOError, "Run again. If the TPM still does not answer, check that the device or address is that of a TPM; start an emulator again, or turn the machine off and on. If that does not help, have the TPM replaced."},
	{[]error{context.Canceled, context.DeadlineExceeded}, 0, ""}, // the caller's own
	{[]error{fs.ErrClosed}, misuse.InvalidParameter, "The program closed the TPM before it had done with it, or gave it up after a failure: open it again."},
	{[]error{ErrNotFound}, hresult.NotFound, "The TPM has no such object or NV index. Check that it is the right TPM, and what its maker stores there."},
	{[]error{ErrProof}, hresult.ValidationFailed, "The statement is not of the key and the nonce that were expected, or it was changed. Have the TPM make a new one."},
	{[]error{errKeyFile}, hresult.InvalidData, "Give the file of a key of this TPM: PEM that begins with TSS2 PRIVATE KEY."},
	{[]error{errNoParent}, misuse.InvalidParameter, "Name a storage root key, such as 0x81000001 (in the programs: -srk), or let the TPM choose. At 0x81010001 there usually is the endorsement key."},
	{[]error{errOccupied}, nvDefined, "Give another persistent handle, or remove what is there if nobody needs it."},
	{[]error{errHandle}, misuse.InvalidParameter, "Give a persistent handle from 0x81020000 to 0x817FFFFF. Others are reserved for storage and endorsement keys, or are none of the owner's."},
	{[]error{errPath}, tbsNotFound, "Leave out the path: on Windows there is one TPM, which TBS has."},
	{[]error{errReopened}, tbsIOError, "Run again. If that does not help, restart the machine."},
	{[]error{errNoLog}, hresult.NotFound, "The firmware or the kernel keeps no event log. On Linux, check that securityfs is mounted at /sys/kernel/security."},
	{[]error{errLogDenied}, hresult.AccessDenied, "Run as root, or on Windows as administrator: usually others may not read the event log."},
	{[]error{errTPM12}, tbsNotFound, "Switch the TPM to version 2.0 in the firmware setup if the machine's maker offers that. A TPM 1.2 cannot be used."},
	{[]error{fs.ErrPermission}, tbsAccessDenied, "Allow this user to use the TPM: on Linux add the user to the group tss, on Windows run as administrator."},
	{[]error{syscall.EBUSY}, busy, "Stop the program that has the TPM open. On Linux, use /dev/tpmrm0, which several programs can open."},
	{[]error{syscall.ECONNREFUSED, wsaRefused, syscall.EHOSTUNREACH, syscall.ENETUNREACH, syscall.ETIMEDOUT}, tbsNotFound, "Nothing answers at this address. Start the TPM emulator, or correct the address."},
	{[]error{errSystem}, tbsNotFound, "Use a machine with Linux or Windows, or a TPM emulator."},
	{[]error{errNotDevice}, tbsNotFound, "Name the TPM's device, such as /dev/tpmrm0. For an emulator at a socket, write unix:SOCKET instead of device:SOCKET."},
	{[]error{errNotTPM}, tbsNotFound, "Name the TPM's device, such as /dev/tpmrm0. If that is missing, turn the TPM on in the firmware setup."},
	{[]error{fs.ErrNotExist, syscall.ENOTDIR, syscall.EISDIR, syscall.EINVAL, syscall.ENOTTY, fs.ErrExist}, tbsNotFound, checkPath},
	{[]error{syscall.ENODEV, syscall.ENXIO}, tbsNotFound, "The TPM's driver has lost the TPM. Turn the machine off and on; if that does not help, turn the TPM on in the firmware setup."},
	{[]error{syscall.EPIPE, syscall.ECONNRESET, wsaReset, wsaAborted, io.EOF, io.ErrUnexpectedEOF}, tbsIOError, "The TPM's driver or emulator has ended. Start the emulator again. If it is the machine's own TPM, turn the machine off and on."},
	{[]error{errAnswer}, tbsIOError, "This is not how a TPM 2.0 answers. Check that the device or address is that of a TPM. " + checkChip},
	{[]error{syscall.EIO}, tbsIOError, checkChip},
	{[]error{ErrNoTPM}, tbsNotFound, "Turn on the TPM 2.0 in the firmware setup, or give one to the virtual machine or the container (--device /dev/tpmrm0)."},
}

// tbsRemedy returns that of a code by which TBS refuses a command itself, or "".
func tbsRemedy(code uint32) string {
	switch code {
	case tbsBlocked:
		return "Windows does not pass this command to the TPM. Run as administrator; if that does not help, ask who sets the policy \"Configure the list of blocked TPM commands\"."
	case tbsNotRunning:
		return "Start the service TBS (TPM Base Services), then run again."
	case tbsStartPending:
		return "Wait a little and run again: the service TBS is starting."
	case tbsCanceled:
		return "Run again: Windows cancels commands of the TPM when the machine goes to sleep."
	case tbsDisabled:
		return "Enable the service TBS (TPM Base Services), then run again."
	}
	return ""
}

// failure returns what kind of failure e is. It is the caller's mistake if nothing else
// is known of it.
func (e *Error) failure() failure {
	if remedy, ok := misuse.Is(e.Err); ok {
		return failure{nil, misuse.InvalidParameter, remedy}
	}
	for _, f := range failures {
		for _, is := range f.is {
			if errors.Is(e.Err, is) {
				return f
			}
		}
	}
	var errno syscall.Errno
	if errors.As(e.Err, &errno) {
		return failure{nil, tbsIOError, checkChip}
	}
	if strings.HasPrefix(e.Op, "TPM2_") {
		return failure{nil, tbsIOError, checkChip}
	}
	return failure{nil, misuse.InvalidParameter, misuse.Remedy}
}

// refusedRemedy returns the remedy for an authorization value that was used and is wrong.
func refusedRemedy(of string) string {
	flag := map[string]string{ofOwner: "-owner-auth", ofEndorsement: "-endorsement-auth", ofStorageKey: "-srk-auth"}[of]
	if flag != "" {
		flag = " (in the programs: " + flag + ")"
	}
	return "The authorization value that was used is not that of the TPM's " + of + ". Correct it" + flag + "; if the " + of + " has none, leave it out."
}

// remedies are those of response codes.
var remedies = []struct {
	codes  []tpm2.TPMRC
	remedy string
}{
	{[]tpm2.TPMRC{tpm2.TPMRCIntegrity}, "The key or the credential belongs to another TPM, or this one was cleared since. Use the right TPM (in the programs: -tpm), or make new keys."},
	{[]tpm2.TPMRC{tpm2.TPMRCBadAuth, tpm2.TPMRCAuthFail}, "The key or a hierarchy of the TPM has an authorization value: supply it. Windows gives it to programs that run as administrator. If nobody has the value, clearing the TPM removes it, with all keys in the TPM, so have BitLocker's recovery key first."},
	{[]tpm2.TPMRC{tpm2.TPMRCHierarchy}, "Turn on the TPM's storage and endorsement hierarchies in the firmware setup."},
	{
		[]tpm2.TPMRC{tpm2.TPMRCObjectMemory, tpm2.TPMRCSessionMemory, tpm2.TPMRCSessionHandles, tpm2.TPMRCMemory},
		"Other programs have filled the TPM: stop them or restart the machine. On Linux, use /dev/tpmrm0.",
	},
	{
		[]tpm2.TPMRC{tpm2.TPMRCFailure, tpm2.TPMRCReboot, tpm2.TPMRCInitialize, tpm2.TPMRCUpgrade},
		"Turn the machine off and on; if that does not help, update the TPM's firmware.",
	},
	{
		[]tpm2.TPMRC{tpm2.TPMRCRetry, tpm2.TPMRCYielded, tpm2.TPMRCTesting},
		"The TPM stays busy. Stop other programs that use it. If that does not help, turn the machine off and on.",
	},
}
