// Package attestga converts the proofs of package attest to the types of
// go-attestation (github.com/google/go-attestation/attest) and back. So a server
// with go-attestation can check keys of package attest, and package attest can check
// keys that go-attestation made.
//
// The functions come in pairs: ToX returns a value for go-attestation, and FromX one
// for package attest. Results share their byte slices with the arguments, except for
// those of ToCredential. The conversion checks no proof. The arguments must not be
// nil, except for that of [FromCredential].
//
// It is a package of its own so that package attest does not require that module.
package attestga
