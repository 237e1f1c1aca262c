// Package mdmtest has a management server that enrolls devices as the
// documented profile of [MS-MDE2] has it, for tests and demonstrations. It is
// strict where public services are said to be, and also where they may not be:
// what it accepts is meant to be right.
//
// [Server] is an [net/http.Handler] with discovery, certificate policy and
// enrollment. It judges each management token (a JWT signed RS256 by
// [Server.TokenKey]) and each certificate request, runs a certificate
// authority of its own, and issues the management certificate in a
// provisioning document. What it refuses it answers with a SOAP fault and
// keeps, see [Server.Refusals].
//
// It enrolls devices by their own tokens and no users. The attestation claims
// of a request must be well formed, but are no proof to it: their format is
// not public, so they change nothing in what is issued. The management session
// at the address in the provisioning document is not served.
package mdmtest
