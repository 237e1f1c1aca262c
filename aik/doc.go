// Package aik obtains a certificate for an attestation key from an attestation CA,
// as Windows does early in a device's life.
//
//	client := &aik.Client{Roots: roots}
//	chain, err := client.Enroll(ctx, &aik.Request{
//		EK: ek.Public, EKChain: ekChain, // the endorsement key with its certificates
//		AIKCreation: key.Creation(),
//		Activate:    tpm.Activator(ek, key), // an attest.TPM and its attestation key
//	})
//
// The method AIKRequest of an Identity of package prove returns such a request.
//
// The protocol is SCEP (RFC 8894) with an extension of Windows ([MS-WCCE]).
// [Client.Enroll] does all of it, in these steps:
//
//  1. The CA is found by the issuer of the endorsement certificate ([URLs]). It
//     must offer the capability IdentityKeyAttestation.
//  2. The request carries the endorsement certificate, encrypted for the CA, and the
//     TPM's statement on how it created the attestation key.
//  3. The CA answers with a credential that only this TPM opens, and only if it holds
//     both keys ([attest.TPM.ActivateCredential]). The endorsement key never signs
//     anything: it cannot.
//  4. The opened secret is sent back, and the CA issues the certificate.
//
// [Client.Begin] does steps 1 to 3, and [Client.Complete] step 4, for a TPM on another
// machine or for another process. Between them the [Challenge] can be stored as JSON.
// A TPM needs seconds to make the attestation key, so that can be done during step 1
// ([Request.MakeAIK]).
//
// A certificate is accepted only if it is for the attestation key, has an empty
// subject, names the same TPM as the endorsement certificate in a critical subject
// alternative name, is for attestation keys alone (2.23.133.8.3), is valid now and
// leads to the roots. [Trust] says what the CA knew about the TPM; no certificate may
// claim more than its issuer.
//
// The service of Windows accepts only RSA keys; other CAs may accept P-256.
// [WindowsTemplate] describes keys that sign with SHA-1, as Windows makes them.
//
// [MS-WCCE]: https://learn.microsoft.com/openspecs/windows_protocols/ms-wcce
package aik
