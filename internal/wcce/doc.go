// Package wcce builds and parses the structures that a client and a CA exchange
// to certify a key of a TPM, from [MS-WCCE] and the Windows extension of SCEP.
//
//	request     CSR, null-signed, with these attributes:
//	            client info   Client
//	            TPM name      Device, a subject alternative name
//	            EK_INFO       EKInfo, in a CMS EnvelopedData
//	            attestation   KAST, with IDBinding for an attestation key,
//	                          or KADS and PCPKey for another key
//	challenge   Challenge, with TACH and a context of the server
//	answer      Answer, with the secret in a CMS EnvelopedData and the context
//
// Structures of the TPM are big-endian and appear without the size of their TPM2B;
// the headers KAST, KADS, PCPM and TACH are little-endian. The rest is DER.
//
// The package checks neither proofs nor signatures, except [CSR.VerifyNull], and
// does not encrypt or decrypt. The parsers check form and size; their results share
// memory with their input, which must not be changed afterwards. Input may have at
// most 64 KiB.
//
// [MS-WCCE]: https://learn.microsoft.com/openspecs/windows_protocols/ms-wcce
package wcce

import (
	"errors"
	"fmt"
)

// ErrFormat is wrapped by the error of every parser in this package.
var ErrFormat = errors.New("malformed")

// maxSize is the largest input of the parsers, in bytes. The largest real request
// has 8 KiB.
const maxSize = 64 << 10

// malformed returns an error that wraps ErrFormat.
func malformed(op, format string, args ...any) error {
	return fmt.Errorf("wcce: %s: %w: %s", op, ErrFormat, fmt.Sprintf(format, args...))
}
