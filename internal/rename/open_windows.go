package rename

import (
	"errors"
	"syscall"
)

// sharingViolation is ERROR_SHARING_VIOLATION of winerror.h.
const sharingViolation syscall.Errno = 32

// isOpen reports whether err may be that a program has the file open.
func isOpen(err error) bool {
	return errors.Is(err, syscall.ERROR_ACCESS_DENIED) || errors.Is(err, sharingViolation)
}
