// Package attesttest has TPMs for tests and trials: a TPM 2.0 in pure Go in
// the process (New), and a swtpm child process (StartSWTPM) as a second
// opinion. Both are a transport.TPM of go-tpm and carry endorsement key
// certificates of the same maker.
//
// # They protect nothing
//
// The seed of a TPM made here is a string, its state file is in the clear, and
// the private keys of the maker's root and issuing CA are computed from text
// in this package, so that two processes agree on a root without exchanging
// one. Anybody can make certificates that chain up to Root. Never put Roots
// into a pool that something real relies on.
//
// # How much like a chip
//
// The emulator has three slots for transient objects and three for sessions,
// takes a slot for a persistent object while a command uses it, checks
// authorizations, sessions, tickets and attributes, and answers with the
// response codes of the TPM 2.0 Library specification; package
// internal/softtpm lists what it leaves out. The platform hierarchy's
// authorization is random after each start, as firmware leaves it. A list of
// conformance tests runs on it and on swtpm.
//
// Config also has what real TPMs do at times: fill and headers around
// certificates, certificates of other keys, other endorsement keys than the
// default, TPM_RC_RETRY, slow commands and failing ones.
package attesttest
