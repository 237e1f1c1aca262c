// Package scep is a client of the Simple Certificate Enrolment Protocol
// (RFC 8894), with the challenge exchange that Windows adds to it to certify
// keys of a TPM.
//
// # Enrolling
//
// An enrollment has two steps. [Client.CA] asks a server for its capabilities
// and certificates, and checks that the certificates lead to [Client.Roots].
// [Client.Enroll] sends a PKCS #10 request in a signed and encrypted message
// and checks the reply. The CA may let the request wait for a person's
// approval; [Client.Poll] asks for the outcome in the same transaction.
//
//	client := &scep.Client{URL: "https://ca.example/scep", Roots: roots}
//	ca, err := client.CA(ctx, "")
//	...
//	csr, err := scep.NewCSR(template, key, "challenge password")
//	...
//	req := &scep.Request{CSR: csr, Signer: key}
//	reply, err := client.Enroll(ctx, ca, req)
//	for err == nil && reply.Status == scep.StatusPending {
//		time.Sleep(interval)
//		reply, err = client.Poll(ctx, ca, req, reply)
//	}
//	...
//	cert := reply.Certificates[0]
//
// A reply is accepted if a certificate of the CA signed it, it answers this very
// message (messageType, transactionID, recipientNonce), it can be decrypted, and
// the certificate in it is for the key of the request, leads to that CA and is
// valid now. The names in the certificate are not compared with those of the
// request, for a CA may change them.
//
// [Client.Renew] replaces a certificate. [Client.GetCert], [Client.GetCRL] and
// [Client.GetNextCACert] fetch what their names say.
//
// # Keys
//
// Every message is signed, and every reply decrypted, with an RSA key and its
// certificate ([Request.Signer], [Request.Decrypter], [Request.Certificate]).
// The key to be certified may be another one of any kind, such as an ECDSA key.
// All keys are used through [crypto.Signer] and [crypto.Decrypter], so they may
// be in a TPM or an HSM. A first enrollment needs no certificate: a self-signed
// one is made for it ([ProtocolCertificate]).
//
// # Trust
//
// A CA is recognized by [Client.Roots], by [Client.Fingerprint] or, if both are
// nil, by TLS alone. A first enrollment takes two round trips; with a [CA] from
// an earlier call it takes one.
//
// The answer to GetCACert is not signed as a whole. Over plain http an attacker
// on the path can leave certificates out, or add others that lead to the roots.
// So a certificate counts as a registration authority's only if it names that
// purpose and the CA itself issued it, or [Client.RAFingerprints] has it, or TLS
// proves that the server sent it. Else the CA's own certificate is used.
// Capabilities are not signed at all: with
// [Client.AllowLegacy], an attacker on the path can cause SHA-1 and triple DES to
// be used. The revocation of the CA's own certificates is not checked.
//
// # Challenges
//
// A server may answer a request with a challenge first (pkiStatus 11). The
// client accepts one only if [Client.Challenge] names a capability that the
// server advertises. [Client.Answer] sends the answer (messageType 41). This
// package does not interpret challenges; packages aik and ekcert do.
//
// # Algorithms
//
// Digest, cipher and HTTP method follow from the server's capabilities:
//
//	digest   SHA-256 if SHA-256 or SCEPStandard is named, else SHA-512,
//	         else SHA-1 (AllowLegacy)
//	cipher   AES-128-CBC if AES, AES128 or SCEPStandard is named,
//	         else AES-256-CBC if AES256 is, else triple DES (AllowLegacy)
//	method   POST if POSTPKIOperation or SCEPStandard is named, else GET
//	renewal  RenewalReq if Renewal is named, else PKCSReq
//
// The key of each message's cipher is encrypted with RSA PKCS #1 v1.5. A reply
// may use RSA-OAEP and any of the ciphers and SHA-2 digests, and be signed with
// ECDSA. Single DES and MD5 are never sent, and MD5 is never accepted.
//
// Some servers sign replies with SHA-1 whatever they advertise, and encrypt them
// with single DES unless configured otherwise: micromdm's scepserver, and step-ca
// if encryptionAlgorithmIdentifier is 0 or absent. They need AllowLegacy. What such
// a reply hides is the issued certificate, which is public, and its signature is
// checked. A challenge is secret, so single DES is refused in it.
//
// A CA that cannot decrypt with an RSA key is not supported; RFC 8894, section
// 3.1, would encrypt with the challenge password instead.
//
// # Errors and limits
//
// Each method of [Client] that talks to the server returns an [*Error]. A client
// neither repeats a request nor sleeps; [Error.Retryable] and [Error.RetryAfter]
// say whether and when to try again. Unless [Client.HTTPClient] has a Timeout, a
// request takes two minutes at most, and a server that sends too slowly is given
// up; both count as no answer, which is worth trying again.
//
// An answer may have up to 256 KiB and 32 levels of nesting, a bag of
// certificates up to 64, of which the certificates of a CA are up to 32. RSA keys
// over 8192 bits are refused before a signature is checked with them. Answers
// are parsed in linear time. Whatever a server sends, the result is an [*Error]
// and never a panic:
//
//	answer                                       wraps          again  Remedy says
//	-------------------------------------------  -------------  -----  ------------------------
//	no answer: no connection, or it was reset    the cause      yes    what the cause calls for
//	no answer before ctx ended                   the cause      no     -
//	no answer: TLS certificate refused           the cause      no     TLS inspection
//	HTTP 408, 425, 429, 500, 502, 503, 504       -              yes    run again
//	HTTP 404                                     -              no     There is no CA
//	other HTTP status                            -              no     what the status calls for
//	failInfo badAlg                              -              no     correct its capabilities
//	failInfo badMessageCheck                     -              no     the expected CA
//	failInfo badRequest                          -              no     challenge password
//	failInfo badTime                             -              no     clock
//	failInfo badCertId                           -              no     Enroll again
//	GetCACaps fails, or has no keyword           -              -      taken as no capabilities
//	unknown capabilities                         -              -      kept, not used
//	SHA-2 or AES not advertised                  ErrCapability, no     permit older algorithms
//	                                             ErrLegacy
//	challenge, GetNextCACert not advertised      ErrCapability  no     Check its address
//	a web page, but to GetCACaps                 ErrMalformed   no     A proxy or a portal
//	not CMS; trailing, missing or changed bytes  ErrMalformed   no     Check the address
//	over 256 KiB, or over 32 levels deep         ErrMalformed   no     Check the address
//	BER, chunked strings                         -              -      accepted
//	signed bag of the CA's certificates          -              -      signature ignored
//	no signer or two; attribute absent or twice  ErrMalformed   no     Check the address
//	undefined pkiStatus or failInfo              ErrMalformed   no     Check the address
//	failure with content, success without        ErrMalformed   no     Check the address
//	no certificate in the bag                    ErrMalformed   no     Check the address
//	CA not under the roots, or another CA        ErrUntrusted   no     Check the trusted roots
//	signed by another, or the signature is bad   ErrUntrusted   no     Check the trusted roots
//	signer's certificate not valid now           ErrUntrusted   no     Check the trusted roots
//	new certificate by another CA                ErrUntrusted   no     Check the trusted roots
//	CA's or new certificate is expired           ErrUntrusted   no     Compare the device's clock
//	not a CertRep; transactionID, nonce differ   ErrMismatch    no     another request
//	no certificate for the key, two, or others'  ErrMismatch    no     another request
//	SHA-1 signature, triple or single DES        ErrLegacy      no     permit older algorithms
//	challenge with single DES, MD5, others       ErrAlgorithm   no     enable SHA-256 and AES
//	encrypted to another, wrong key or padding   ErrDecrypt     no     Check the address
//	some certificates of a bag unreadable        -              -      left out, logged
//
// "wraps" is what [errors.Is] finds in the error, "again" is [Error.Retryable],
// and the last column quotes [Error.Remedy].
//
// Package sceptest has a server for tests.
package scep
