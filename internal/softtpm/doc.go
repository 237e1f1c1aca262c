// Package softtpm implements a TPM 2.0 in pure Go, for tests and trials. It takes
// command buffers and returns response buffers, as a hardware TPM does (TCG TPM 2.0
// Library, Parts 1 to 3, revision 1.59).
//
// It has the limits of a hardware TPM, with three slots for transient objects and
// three for sessions. It also returns the same response codes, including the bits
// that number the handle, the session or the parameter. It does not protect
// anything: seeds are stored in memory and in state files without encryption, and
// there are no measures against side channels. Package attesttest is its public API.
//
// Sealed and symmetric objects, audit, saved contexts, duplication and NV counters
// are not implemented. Commands that need them fail with TPM_RC_COMMAND_CODE or
// with the code for an unsupported algorithm.
package softtpm
