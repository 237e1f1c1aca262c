package attest

import (
	"errors"
	"fmt"
	"sync"

	"github.com/google/go-tpm/tpm2/transport"
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
		return nil, &Error{Op: "Open", Err: fmt.Errorf("%w: %w: %q", ErrNoTPM, errPath, path)}
	}
	tr, err := openTBS()
	if err != nil {
		return nil, &Error{Op: "Open", Err: fmt.Errorf("%w: %w", ErrNoTPM, err)}
	}
	return &TPM{Transport: &tbsTPM{tpm: tr}}, nil
}

// openTBS opens a context of TBS.
func openTBS() (transport.TPMCloser, error) {
	tr, err := windowstpm.Open()
	if errors.Is(err, windowstpm.ErrNotTPM20) {
		err = errTPM12
	}
	return tr, err
}

// A tbsTPM is a context of TBS. If TBS does not know it any more, because the service
// was started again, Send opens another, in which the objects of the first are missing,
// and returns errReopened. Close may be called while Send waits for an answer.
type tbsTPM struct {
	mu     sync.Mutex
	tpm    transport.TPMCloser
	closed bool
}

// context returns the context.
func (t *tbsTPM) context() transport.TPMCloser {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.tpm
}

// Send implements transport.TPM.
func (t *tbsTPM) Send(command []byte) ([]byte, error) {
	rsp, err := t.context().Send(command)
	if tbsCode(err) != tbsInvalidContext {
		return rsp, err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return nil, err
	}
	tr, oerr := openTBS()
	if oerr != nil {
		return nil, errors.Join(err, oerr)
	}
	t.tpm = tr
	return nil, fmt.Errorf("%w: %w", errReopened, err)
}

// Close implements transport.TPMCloser.
func (t *tbsTPM) Close() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.closed = true
	return t.tpm.Close()
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
