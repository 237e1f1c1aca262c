package attest

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"github.com/google/go-tpm/tpm2/transport/linuxtpm"
)

// devices are tried in this order. Behind the first, the kernel keeps programs
// apart and drops what one leaves loaded.
var devices = []string{"/dev/tpmrm0", "/dev/tpm0"}

// Open opens a TPM: a device file, or the system's own if path is "", that is
// /dev/tpmrm0 or else /dev/tpm0 on Linux and TBS on Windows, where path must be
// "". It sends no command. If there is none the error wraps ErrNoTPM.
func Open(path string) (*TPM, error) {
	paths := devices
	if path != "" {
		paths = []string{path}
	}
	var tried []string
	cause := ErrNoTPM
	for _, p := range paths {
		tr, err := linuxtpm.Open(p)
		if err == nil {
			return &TPM{Transport: tr}, nil
		}
		var pe *fs.PathError
		if errors.As(err, &pe) {
			err = pe.Err
		}
		tried = append(tried, fmt.Sprintf("%s: %v", p, err))
		if errors.Is(err, fs.ErrPermission) {
			cause = fmt.Errorf("%w: %w", ErrNoTPM, fs.ErrPermission)
		}
	}
	return nil, &Error{Op: "Open", Err: fmt.Errorf("%w (%s)", cause, strings.Join(tried, "; "))}
}
