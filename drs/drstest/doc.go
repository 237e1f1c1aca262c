// Package drstest is a directory for tests: the registration service of one
// tenant, its token endpoint and its certificate authority, in one
// [http.Handler].
//
// It is told which devices to expect with [Server.Import], as a directory is
// by the import of hardware hashes, and checks what a real one would: that an
// endorsement key is known, that the attestation key is beside it in one TPM,
// that both keys of a join are certified by that attestation key for this very
// join, that no nonce, challenge or token is used twice. What it refuses, and
// why, is in [Server.Refusals].
//
// It serves, below its base:
//
//	GET  /{tenant}/Discover
//	GET  /EnrollmentServer/nonce/{tenant}/
//	POST /EnrollmentServer/tpmchallenge/{tenant}/
//	POST /EnrollmentServer/device/
//	POST /{tenant}/oauth2/token
//
// where {tenant} is the tenant's domain or identifier. The token endpoint
// knows the grants srv_challenge and jwt-bearer, the latter with an assertion
// of profile ek-jwt-v1 (see package drs) or with a request signed by a joined
// device. How Microsoft's service has a device prove its TPM is not public:
// that part is this module's own documented profile.
package drstest
