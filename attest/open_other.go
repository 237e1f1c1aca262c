//go:build !linux && !windows

package attest

import (
	"fmt"
	"runtime"
)

// Open opens a TPM: a device file, or the system's own if path is "", that is
// /dev/tpmrm0 or else /dev/tpm0 on Linux and TBS on Windows, where path must be
// "". It sends no command. If there is none the error wraps ErrNoTPM. On other
// systems there is none.
func Open(string) (*TPM, error) {
	return nil, &Error{Op: "Open", Err: fmt.Errorf("%w: none is supported on %s", ErrNoTPM, runtime.GOOS)}
}
