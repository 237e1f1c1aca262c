// Package scep is a client of the Simple Certificate Enrolment Protocol
// (RFC 8894), with the challenge exchange that Windows adds to it to have keys
// of a TPM certified.
//
// An enrollment has two steps. [Client.CA] asks a server what it can do and
// for its certificates, and checks that they lead to [Client.Roots].
// [Client.Enroll] sends a PKCS #10 request in a signed and encrypted message
// and checks the reply: that a certificate of the CA signed it, that it answers
// this very message, that it can be opened, and that the certificate in it is
// for the key asked for and issued by that CA.
//
// A server may answer with a challenge first (pkiStatus 11), but only where
// [Client.Challenge] names a capability that it advertises; [Client.Answer]
// sends what the challenge asks for (messageType 41). This package does not
// know what a challenge means: packages aik and ekcert do.
//
// Digest, cipher and HTTP method follow from the server's capabilities.
// SHA-256 and AES are the least that is taken unless [Client.AllowLegacy] is
// set; single DES and MD5 are never used. A client neither repeats a request
// nor sleeps; an [*Error] says whether and when to try again.
package scep
