// Package mdm enrolls a device in mobile device management by the Windows
// enrollment protocol, [MS-MDE2]: with the identity of the device, as
// pre-provisioning does, or with that of a user.
//
// # The flow
//
//	TokenClient            trades the device certificate for a management token
//	  TokenClient.Exchange   OAuth 2.0: a nonce, a signed request, a Token
//	Client                 speaks to the management server, SOAP 1.2
//	  Client.Discover        finds its services                       [MS-MDE2] 3.1
//	  Client.Policy          what the certificate request must be     [MS-XCEP]
//	  Client.AttestAzure     proves the key to Azure Attestation, if the policy asks
//	  Client.Enroll          sends the request, gets an Enrollment    [MS-WSTEP]
//	  Client.Renew           a new certificate before the old one ends
//	  Client.Recover         a new certificate in place of one that was lost
//	Enrollment             the management certificate, its issuers, the server
//	  ParseDocument          the provisioning document that came with it
//	  Document.Account       where and how the device is managed
//	  Document.Schedule      when the certificate is renewed
//
// Management itself is the business of two packages above this one: mdm/omadm
// holds sessions with the server, and mdm/esp tells from them what the
// enrollment status page of Windows would show.
//
// # What is trusted
//
// The clients write one form only, because servers compare prefixes and white
// space literally, and accept the deviations of public servers in what they
// read. They accept none in what decides trust. The certificate in a
// provisioning document must be of the caller's key, must have the thumbprint
// it is filed under, and must lead to a root in the same document. An element
// or parameter that appears twice where one is expected is refused. Secrets are
// sent over https only, or over http to the loopback interface.
//
// # Errors
//
// Every call fails with an [*Error]. It knows the code that Windows shows for
// the failure, whether a later try may succeed, and what a technician can do.
// The clients neither retry nor sleep. Functions that only read a document or a
// token return plain errors.
//
// # Limits
//
// Management keys are RSA. Two things are not supported: showing the sign-in page
// of a federated server (the caller may send its token, see [OpaqueToken]), and
// enrollment authenticated by an XML signature (AuthPolicy "Certificate"). An answer may have 1 MiB, 20000 elements and 32
// levels.
package mdm
