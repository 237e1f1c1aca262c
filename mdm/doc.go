// Package mdm enrolls a device in mobile device management by the Windows
// enrollment protocol [MS-MDE2], with the identity of the device, as
// pre-provisioning does it, or of a user.
//
// A [TokenClient] trades the device certificate from the directory for a
// management token (OAuth 2.0, grant device_token). A [Client] then speaks
// three SOAP 1.2 calls: [Client.Discover] finds the services, [Client.Policy]
// asks what the certificate request must be like ([MS-XCEP]), and
// [Client.Enroll] sends the request and gets a provisioning document
// ([MS-WSTEP]): the management certificate, its issuers and the account that
// sessions use. [Client.Renew] has a certificate followed by a new one before
// it ends, [Client.Recover] replaces one that was lost.
//
// Management itself is the business of two packages above this one: mdm/omadm
// holds sessions with the server, mdm/esp tells from them what the enrollment
// status page of Windows would show.
//
// The clients are strict in what they send, for servers compare prefixes and
// white space literally, and tolerant in what they read. What decides trust is
// never tolerated: the certificate in the document must be of the caller's
// key, have the thumbprint it is filed under and lead to a root in the same
// document; what is there twice and differs is refused; and no secret is sent
// over http except to the own machine.
//
// The clients neither retry nor sleep. Every failure is an [*Error], which
// knows the code Windows shows for it and whether a later try may help.
//
// Azure Attestation, the sign-in page of federated servers and authentication
// of an enrollment by XML signature (AuthPolicy "Certificate") are not
// supported.
package mdm
