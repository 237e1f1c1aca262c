package attest

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"github.com/google/go-tpm/tpm2/transport/linuxtpm"
)

// devices are tried in this order. At the first, the kernel keeps programs apart,
// and flushes what a program has left loaded when it closes the file.
var devices = []string{"/dev/tpmrm0", "/dev/tpm0"}

// Open opens a TPM. path is a device file, such as "/dev/tpmrm0", or "" for the
// system's own TPM: on Linux /dev/tpmrm0, or /dev/tpm0 if that cannot be opened;
// on Windows the TPM of TBS, the only one, so that path must be "" there. On other
// systems there is no TPM. Open sends no command, so it does not notice if the
// device does not answer. The caller closes the TPM with [TPM.Close].
//
// The error is an [*Error]. It wraps [ErrNoTPM] if there is no TPM or it cannot be
// opened, and [fs.ErrPermission] as well if a device file may not be opened.
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
