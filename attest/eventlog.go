package attest

import (
	"errors"
	"fmt"
	"io/fs"
)

// maxEventLog limits event logs, in bytes. Real ones have up to some hundred
// kilobytes.
const maxEventLog = 1 << 20

// EventLog returns the log of the events that this machine's firmware and boot loader
// put into the TPM's PCRs since it was started, in the form of the TCG PC Client
// Platform Firmware Profile. On Linux it is the file binary_bios_measurements of the
// first TPM in securityfs, which usually only root may read; on Windows it is the log
// of TBS. It has at most 1 MiB. A verifier compares it with a [Quote]; see package
// verify.
//
// The error is an [*Error]. It wraps the error of the operating system: on Linux
// [fs.ErrNotExist] if the machine has no log, as with most emulators, and
// [fs.ErrPermission]. On systems other than Linux and Windows it wraps [ErrNoTPM].
func EventLog() ([]byte, error) {
	log, err := eventLog()
	switch {
	case err == nil:
		return log, nil
	case errors.Is(err, fs.ErrPermission), tbsCode(err) == tbsAccessDenied:
		err = fmt.Errorf("%w: %w", errLogDenied, err)
	case errors.Is(err, fs.ErrNotExist), tbsCode(err) == tbsNoLog:
		err = fmt.Errorf("%w: %w", errNoLog, err)
	}
	return nil, &Error{Op: "EventLog", Err: err}
}
