// Package drstest is a directory for tests: the registration service of one
// tenant, its token endpoint and its certificate authority, in one
// [http.Handler].
//
// It is told which devices to expect with [Server.Import], as a directory is
// by the import of hardware hashes, and which users with [Server.AddUser]. It
// checks what a real one would: that an endorsement key is known, that the
// attestation key is beside it in one TPM, that both keys of a join are
// certified by that attestation key for this very join, that no nonce, challenge
// or token is used twice, that users may join and have not too many devices,
// that who leaves is the device. What it refuses, and why, is in
// [Server.Refusals]; its state is in [Server.Objects] and [Server.Sessions].
// [Server.SetFault] has it go wrong.
//
// It serves, below its base:
//
//	GET    /{tenant}/Discover
//	GET    /EnrollmentServer/contract
//	GET    /EnrollmentServer/nonce/{tenant}/
//	POST   /EnrollmentServer/tpmchallenge/{tenant}/
//	POST   /EnrollmentServer/device/
//	DELETE /EnrollmentServer/device/{device}
//	POST   /{tenant}/oauth2/token
//	GET    /{tenant}/oauth2/authorize
//	GET    /{tenant}/.well-known/openid-configuration
//	GET    /common/userrealm/{user}
//
// where {tenant} is the tenant's domain or identifier. A device leaves by its
// certificate in TLS, for which the listener must ask
// (tls.Config.ClientAuth: [crypto/tls.RequestClientCert]).
//
// The token endpoint knows the grants srv_challenge; jwt-bearer with an
// assertion that proves a TPM (see package drs), with a request signed by a
// joined device, or with one signed by the session key of a user on one; and
// password, refresh_token and authorization_code for a user without a device.
// Session keys and replies have the real service's form, which is not that of
// RFC 7516: see [Server.Strict] and [Server.Reply].
//
// How Microsoft's service has a device prove its TPM is not public: that part is
// this module's own documented profile. So is what happens to the object of an
// imported device that leaves: it is disabled and kept.
package drstest
