package attest

import (
	"errors"
	"fmt"

	"github.com/google/go-tpm/tpm2/transport/windowstpm"
	"github.com/google/go-tpm/tpmutil/tbs"
)

// Open opens a TPM: a device file, or the system's own if path is "", that is
// /dev/tpmrm0 or else /dev/tpm0 on Linux and TBS on Windows, where path must be
// "". It sends no command. If there is none the error wraps ErrNoTPM.
func Open(path string) (*TPM, error) {
	if path != "" {
		return nil, &Error{Op: "Open", Err: errors.New("on Windows there is only the system's TPM")}
	}
	tr, err := windowstpm.Open()
	if err != nil {
		return nil, &Error{Op: "Open", Err: fmt.Errorf("%w: %w", ErrNoTPM, err)}
	}
	return &TPM{Transport: tr}, nil
}

// tbsCode returns the TBS_E_ or TPM_E_ code by which TBS refused a command, or
// 0.
func tbsCode(err error) uint32 {
	var e tbs.Error
	if errors.As(err, &e) {
		return uint32(e)
	}
	return 0
}
