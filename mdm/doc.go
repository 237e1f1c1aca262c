// Package mdm enrolls a device in mobile device management by the Windows
// enrollment protocol [MS-MDE2], the way pre-provisioning does it: with the
// identity of the device, without a user.
//
// A [TokenClient] trades the device certificate from the directory for a
// management token (OAuth 2.0, grant device_token). A [Client] then speaks
// three SOAP 1.2 calls: [Client.Discover] finds the services, [Client.Policy]
// asks what the certificate request must be like ([MS-XCEP]), and
// [Client.Enroll] sends the request and gets a provisioning document
// ([MS-WSTEP]): the management certificate, its issuers and the account that
// later sessions use.
//
// The clients are strict in what they send, for servers compare prefixes and
// white space literally, and tolerant in what they read. What decides trust is
// never tolerated: the certificate in the document must be of the caller's
// key, have the thumbprint it is filed under and lead to a root in the same
// document, and no secret is sent over http except to the own machine.
//
// The clients neither retry nor sleep. Every failure is an [*Error], which
// knows the code Windows shows for it and whether a later try may help.
//
// Renewal, recovery and the management session are not part of this package's
// present state.
package mdm
