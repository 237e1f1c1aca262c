// Package attestga turns the proofs of package attest into the parameters of
// go-attestation (github.com/google/go-attestation), and back: so its verifier
// can judge our keys, and ours its keys. It is a package of its own because
// package attest does without that module.
package attestga
