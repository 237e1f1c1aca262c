// Package sceptest has a SCEP server and its CA for tests of clients (RFC 8894).
//
// The server is strict: it checks what a careful CA would, so that a fault of the
// client fails its test, and keeps the reason of every refusal. It is an
// [http.Handler] whose zero value works:
//
//	server := new(sceptest.Server)
//	ts := httptest.NewServer(server)
//	defer ts.Close()
//	client := &scep.Client{URL: ts.URL, Roots: server.Roots()}
//	...
//	if refused := server.Refusals(); len(refused) > 0 {
//		t.Errorf("the server refused %q", refused)
//	}
//
// The zero value certifies every well-formed request and renews its own
// certificates. Fields of [Server] make requests wait for approval, require a
// password, announce the next CA or, as [Quirk], change replies in a way that a
// client must detect or must accept. Hooks turn the server into another kind of
// CA: package aiktest makes an attestation CA of it, package ekcerttest a TPM
// manufacturer's.
//
// # What it checks
//
// A message is checked in this order. The first check that fails decides the
// answer: an HTTP status, or a CertRep with pkiStatus FAILURE and a failInfo.
//
//	check                                                      refused with
//	---------------------------------------------------------  ---------------
//	the operation is known                                     HTTP 400
//	POST, or GET with the message in base64                    HTTP 405, 400
//	at most 256 KiB                                            HTTP 413, 414
//	pkiMessage with one signer, each attribute once,           HTTP 400
//	  senderNonce of 16 bytes
//	signer's certificate is in the message, signature holds    badMessageCheck
//	SHA-1 only if advertised                                   badAlg
//	signer's certificate is valid now                          badTime
//	senderNonce was not used before                            badRequest
//	envelope can be decrypted                                  badMessageCheck
//	triple DES only if advertised                              badAlg
//	messageType is supported                                   badRequest
//	signer's certificate is self-signed or issued by the CA    badMessageCheck
//	  and not revoked                                          badCertId
//	CSR is well-formed                                         badRequest
//	CSR is signed by its key (or passes CheckCSR)              badMessageCheck
//	RenewalReq: advertised; signed with a certificate of       badRequest,
//	  the CA                                                   badMessageCheck
//	renewal: same subject as the old certificate               badRequest
//	challengePassword, if Password is set                      badRequest
//	CertPoll: request is pending, same signer,                 badCertId,
//	  same names                                               badMessageCheck
//	answer: challenge is open, same signer, passes Check       badRequest,
//	                                                           badMessageCheck
//	GetCert, GetCRL: the CA issued the certificate             badCertId
//
// It does not check the URL's path, whether a client that may use POST does so, or
// the names in a CSR.
//
// The server keeps the latest 10,000 nonces, transactions and certificates, and
// the latest 1,000 refusals.
//
// # Two implementations of CMS
//
// The client's messages pass through a second implementation of CMS: the server
// verifies, decrypts, encrypts and signs with go.mozilla.org/pkcs7, the client
// with this module's own package. That library chooses its cipher by a global
// variable, which all servers of a process share under a lock. A process with a
// Server must not encrypt with that library in any other way.
package sceptest
