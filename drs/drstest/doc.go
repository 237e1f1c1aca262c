// Package drstest has a directory for tests of package drs: the registration service of one
// tenant, its token endpoint and its certificate authority, in one [http.Handler].
//
// # Use
//
// The zero value of [Server] serves a test:
//
//	directory := new(drstest.Server)
//	server := httptest.NewServer(directory)
//	directory.Import(ek)                         // the endorsement key of a TPM
//	directory.AddUser(drstest.User{UPN: "alice@contoso.test", Password: "…"})
//	c := &drs.Client{BaseURL: server.URL}
//	d, err := c.Discover(ctx, drstest.DefaultTenant)
//
// [Server.Import] lets a device join without a user, as a directory does after the import
// of its hardware hash. [Server.AddComputer] is for hybrid joins and
// [Server.PreAuthorize] for joins that are authorized beforehand. [Server.AddDevice] adds a
// device that has joined already.
//
// A device leaves with its certificate in TLS: start the test server with TLS, and with
// tls.Config.ClientAuth set to [crypto/tls.RequestClientCert].
//
// [Server.Objects] and [Server.Sessions] return the state of the directory,
// [Server.Refusals] the reasons of all refusals, and [Server.SetFault] makes an operation
// fail. Server.Errors, Server.Reply, Server.Derive1, Server.Public and Server.Strict select among the
// forms that real services have.
//
// # What it serves
//
// These paths, below Server.BaseURL; {tenant} is the tenant's domain or identifier, or for
// the token service also "common":
//
//	GET    /{tenant}/Discover
//	GET    /EnrollmentServer/contract
//	GET    /EnrollmentServer/nonce/{tenant}/
//	POST   /EnrollmentServer/tpmchallenge/{tenant}/
//	POST   /EnrollmentServer/device/
//	POST   /EnrollmentServer/device/precreate/{tenant}/
//	PUT    /EnrollmentServer/device/{device}
//	DELETE /EnrollmentServer/device/{device}
//	POST   /{tenant}/oauth2/token, also with v2.0 before its last part
//	POST   /{tenant}/oauth2/devicecode
//	GET    /{tenant}/oauth2/authorize, and POST for the form that it shows
//	GET    /{tenant}/.well-known/openid-configuration
//	GET    /common/userrealm/{user}
//
// The token endpoint has these grants: srv_challenge (a nonce); jwt-bearer with an
// assertion that proves a TPM (see package drs), with a request that a joined device
// signed, or with one that the session key of a user signed, in the protocols 2, 3 and 4 of
// primary refresh tokens; and password, refresh_token
// and authorization_code for a user without a device.
//
// # What it checks
//
// A challenge: the forms of the public areas; with Server.EKRoots the certificate of the
// endorsement key (package ekcert); with Server.AIKRoots that of the attestation key; and
// the attributes of the key that is proved. A key that was not imported gets a challenge,
// too, so that nobody learns from it which keys are known.
//
// An assertion: the MAC, the times, the endorsement key, the audience, the nonces, and the
// name of the key that is proved.
//
// A join: the token or challenge that authorizes it; the certificate request and both keys;
// that the token is for these keys; the user's permission and quota; and its attestation,
// by ten checks in order, of which a refusal names the number:
//
//  1. the certificate of the attestation key: chain, validity, usage
//  2. the certificate is for that key, and the key can only sign what the TPM made
//  3. the signatures of the statements
//  4. the TPM made the statements, by TPM2_Certify, for this join
//  5. each statement is for the key that comes with it
//  6. both keys were made in the TPM, cannot leave it, and have the right usage
//  7. the certified keys are those of the join
//  8. the nonce is that of the token or of the service, and unused
//  9. the attestation key is the one that was proved for the token
//  10. the endorsement key of the token is that of the device's hardware record
//
// Module go-attestation then verifies each statement a second time.
//
// A device that leaves: its certificate in TLS. A sign-in: the signature of the device key,
// the nonce, the times and the user's credentials. A request with a session: the
// MAC by the session key, the nonce, the times, and that the session has not ended.
//
// # Limits
//
//	nonces, refresh tokens, codes 10000 of each kind; the oldest goes first; nonces 10 minutes
//	tokens for a join, sessions   10000 of each kind; the oldest goes first
//	open challenges               5 minutes, 32 for one endorsement key, 4096 in all
//	token for a join              1 hour
//	token of a joined device      65 minutes
//	primary refresh token         14 days; a renewal replaces a session key of over 30 days
//	repetition of a join          10 minutes
//	devices that a user may join  50 ([DefaultQuota])
//	body of a request             256 KiB
//	[Server.Refusals]             the newest 1000
//
// Devices and users are kept until they are removed: about 9 kB for a device that has
// joined. [Server.Object] finds one without looking at the others.
//
// # What is not known of the real service
//
// How Microsoft's service has a device prove its TPM is not public. The challenges here are
// this module's own profile (see package drs). Neither is it public what happens to the
// object of an imported device that leaves: here it is disabled and kept, and any other
// device's is deleted. The form of the challenge that authorizes a join beforehand is this
// package's own. Session keys and encrypted replies have the form of the real service,
// which is not that of RFC 7516.
package drstest
