// Package mdmtest is a management server for tests and demonstrations of
// packages mdm, mdm/omadm and mdm/esp.
//
// [Server] is an [http.Handler] with discovery, certificate policy, enrollment,
// renewal, recovery ([MS-MDE2]) and management sessions ([MS-MDM]). It has a
// certificate authority of its own. It accepts the tokens of devices that
// [Server.TokenKey] has signed, and credentials of users if its fields allow
// them. It checks requests by the letter of the specifications, more strictly
// than public servers do, so that a client that it accepts is right. Where
// Windows itself departs from the letter, the server takes what Windows sends.
// [Quirks] and [SessionQuirks] make it deviate as public servers do.
//
// What the server refuses, it answers with a SOAP fault or an HTTP status, and
// keeps for the test in [Server.Refusals].
//
// The attestation claims in a request must be statements of a TPM in the form
// of [MS-WCCE] section 2.2.2.5, see mdm.Claim. A claim proves that an attestation
// key has certified the management key and says that it cannot leave the TPM.
// That the attestation key itself is one of a TPM follows from its certificate
// ([Server.AIKRoots]) or from what the test knows ([Server.KnownAIK]), and from
// nothing else: without both, the claims only show that the client writes them
// correctly. A claim does not prove when it was made, or by which device, and
// says nothing of the software that runs there. Renewal and sessions need the
// device's certificate, for which the listener must ask: set the TLS of an
// [httptest.Server] to [Server.TLSConfig].
package mdmtest
