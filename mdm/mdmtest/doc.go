// Package mdmtest has a management server that enrolls devices as the
// documented profile of [MS-MDE2] has it, for tests and demonstrations. It is
// strict where public services are said to be, and also where they may not be:
// what it accepts is meant to be right. [Quirks] make it depart from that as
// public servers do.
//
// [Server] is an [net/http.Handler] with discovery, certificate policy,
// enrollment, renewal, recovery and management sessions. It judges each
// management token (a JWT signed RS256 by [Server.TokenKey]) and each
// certificate request, runs a certificate authority of its own, and issues the
// management certificate in a provisioning document. What it refuses it answers
// with a SOAP fault and keeps, see [Server.Refusals].
//
// It enrolls devices by their own tokens, and users if it is told of any. The
// attestation claims of a request must be statements of a TPM in the form of
// [MS-WCCE] section 2.2.2.5. Renewal and sessions are authenticated by the
// management certificate in TLS: the listener must ask for it, see
// [Server.TLSConfig].
package mdmtest
