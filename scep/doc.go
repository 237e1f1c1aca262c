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
// [Client.Poll] asks after a request that a CA has put off, in the same
// transaction; [Client.Renew] replaces a certificate; [Client.GetCert],
// [Client.GetCRL] and [Client.GetNextCACert] fetch what their names say. The key
// of the CSR may be of any kind and in a TPM; messages are signed and replies
// opened with an RSA key, the same or another, in a TPM or not.
//
// # Trust
//
// A CA is known by [Client.Roots], by [Client.Fingerprint], or only by TLS. A
// first enrollment takes two round trips; with a [CA] kept from before, it takes
// one. What GetCACert answers is not signed as a whole: over plain http somebody
// in between can leave certificates out, or put in others that lead to the
// roots, so look at [CA.Recipient] where the CA has certified people you do not
// trust. Capabilities are not signed at all: with [Client.AllowLegacy], somebody
// in between can have SHA-1 and triple DES used.
//
// # Challenges
//
// A server may answer with a challenge first (pkiStatus 11), but only where
// [Client.Challenge] names a capability that it advertises; [Client.Answer]
// sends what the challenge asks for (messageType 41). This package does not
// know what a challenge means: packages aik and ekcert do.
//
// # Algorithms
//
// Digest, cipher and HTTP method follow from the server's capabilities.
// SHA-256 and AES are the least that is taken unless [Client.AllowLegacy] is
// set; single DES and MD5 are never used. A client neither repeats a request
// nor sleeps; an [*Error] says whether and when to try again.
//
// Software that can only do single DES cannot be used: micromdm's scepserver as
// it comes, and step-ca where encryptionAlgorithmIdentifier is 0 or absent.
// Both sign with SHA-1 whatever they advertise, so that they need AllowLegacy
// when they are set to AES, too.
//
// # Bad answers
//
// Whatever a server sends, the result is an [*Error] and never a panic; answers
// are read up to 256 KiB, 32 levels deep, and in linear time. What each gives:
//
//	answer                                       wraps          again  Remedy
//	-------------------------------------------  -------------  -----  ----------------------------
//	none: no connection, reset                   the cause      yes    -
//	none before the context's end                the cause      no     -
//	none: TLS certificate refused                the cause      no     TLS inspection
//	HTTP 408, 425, 429, 500, 502, 503, 504       -              yes    - (RetryAfter)
//	HTTP 404                                     -              no     check it
//	other HTTP status                            -              no     -
//	failInfo badAlg                              -              no     correct its capabilities
//	failInfo badMessageCheck                     -              no     the expected CA
//	failInfo badRequest                          -              no     challenge password
//	failInfo badTime                             -              yes    clock
//	failInfo badCertId                           -              no     enroll anew
//	GetCACaps fails, or no keyword in it         -              -      taken as no capabilities
//	unknown capabilities                         -              -      kept, not used
//	neither SHA-2 nor AES offered                ErrCapability, no     permit older algorithms
//	                                             ErrLegacy
//	challenge, GetNextCACert not advertised      ErrCapability  no     check its address
//	not CMS; trailing, missing or changed bytes  ErrMalformed   no     check the address
//	over 256 KiB or 32 levels                    ErrMalformed   no     check the address
//	BER, chunked strings                         -              -      taken
//	no or two signers, attributes absent, twice  ErrMalformed   no     check the address
//	undefined pkiStatus or failInfo              ErrMalformed   no     check the address
//	envelope with a failure, none with success   ErrMalformed   no     check the address
//	no certificate in the bag                    ErrMalformed   no     check the address
//	CA not under the roots, or another           ErrUntrusted   no     check the roots
//	signed by another, or the signature is bad   ErrUntrusted   no     check the roots
//	signer's certificate not valid now           ErrUntrusted   no     check the roots
//	new certificate by another CA, or expired    ErrUntrusted   no     check the roots
//	not a CertRep; transactionID, nonce differ   ErrMismatch    no     to another request
//	certificate for another key, twice, or more  ErrMismatch    no     to another request
//	SHA-1 signature, triple DES                  ErrLegacy      no     permit older algorithms
//	single DES, MD5, other unknown algorithms    ErrAlgorithm   no     for SHA-256 and AES
//	encrypted to another, wrong key or padding   ErrDecrypt     no     check the address
//	some certificates of a bag unreadable        -              -      left out, logged
//
// "again" is [Error.Retryable].
package scep
