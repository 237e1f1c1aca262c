// Package softtpm is a TPM 2.0 in pure Go, for tests and trials: it takes
// command buffers and returns response buffers as a chip does (TCG TPM 2.0
// Library, parts 1 to 3, revision 1.59).
//
// It keeps the limits of a chip, three slots for transient objects and three
// for sessions, and answers with the response codes of one, with the bits that
// number the handle, the session or the parameter. It protects nothing: seeds
// lie in memory and in state files in the clear, and nothing is done against
// side channels. Package attesttest is its public face.
//
// What it leaves out answers TPM_RC_COMMAND_CODE, or the code of an algorithm
// not implemented: sealed and symmetric objects, audit, saved contexts,
// duplication, NV counters.
package softtpm
