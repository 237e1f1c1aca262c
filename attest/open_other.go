//go:build !linux && !windows

package attest

import "fmt"

// Open opens a TPM. path is a device file, such as "/dev/tpmrm0", or "" for the
// system's own TPM: on Linux /dev/tpmrm0, or /dev/tpm0 if that cannot be opened;
// on Windows the TPM of TBS, the only one, so that path must be "" there. On other
// systems there is no TPM. Open sends no command, so it does not notice if the
// device does not answer. The caller closes the TPM with [TPM.Close].
//
// The error is an [*Error]. It wraps [ErrNoTPM] if there is no TPM or it cannot be
// opened, and on Linux the error of the operating system as well, such as
// [io/fs.ErrPermission].
func Open(string) (*TPM, error) {
	return nil, &Error{Op: "Open", Err: fmt.Errorf("%w: %w", ErrNoTPM, errSystem)}
}
