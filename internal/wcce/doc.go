// Package wcce builds and reads the structures of [MS-WCCE] and of the Windows
// extension of SCEP that travel when a TPM's key is certified: the null-signed
// PKCS #10 request and its attributes, EK_INFO, the key attestation statement
// "KAST" with its "KADS", the challenge "TACH" and the content of challenge and answer.
//
// All values are bytes. Nothing here checks a proof or opens an envelope; the
// parsers check form and size, and copy nothing out of their input.
//
// [MS-WCCE]: https://learn.microsoft.com/openspecs/windows_protocols/ms-wcce
package wcce

import (
	"errors"
	"fmt"
)

// ErrFormat is wrapped by the error of every parser here.
var ErrFormat = errors.New("malformed")

// maxSize bounds what the parsers read. The largest real request has 8 KiB.
const maxSize = 64 << 10

func malformed(op, format string, args ...any) error {
	return fmt.Errorf("wcce: %s: %w: %s", op, ErrFormat, fmt.Sprintf(format, args...))
}
