package attest

import (
	"errors"
	"fmt"

	"github.com/google/go-tpm/tpm2/transport/windowstpm"
	"github.com/google/go-tpm/tpmutil/tbs"
)

// Open opens a TPM. path is a device file, such as "/dev/tpmrm0", or "" for the
// system's own TPM: on Linux /dev/tpmrm0, or /dev/tpm0 if that cannot be opened;
// on Windows the TPM of TBS, the only one, so that path must be "" there. On other
// systems there is no TPM. Open sends no command, so it does not notice if the
// device does not answer. The caller closes the TPM with [TPM.Close].
//
// The error is an [*Error]. It wraps [ErrNoTPM] if there is no TPM or it cannot be
// opened, and on Linux the error of the operating system as well, such as
// [io/fs.ErrPermission].
func Open(path string) (*TPM, error) {
	if path != "" {
		return nil, &Error{Op: "Open", Err: errors.New("path must be empty on Windows")}
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
