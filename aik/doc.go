// Package aik has an attestation key of a TPM certified by an attestation CA,
// as Windows does at the start of a device's life.
//
// The exchange is SCEP (RFC 8894) with the extension of Windows. The CA is
// found by the issuer of the endorsement key's certificate ([URLs]); it must
// name the capability IdentityKeyAttestation. The client sends a request that
// carries the endorsement certificate, encrypted for the CA, and the TPM's
// statement on how the attestation key was made. The CA answers with a
// credential that only this TPM opens, and only if it holds both keys
// ([attest.TPM.ActivateCredential]). The opened secret is sent back and the
// certificate is issued. The device never signs for the endorsement key: it
// cannot.
//
// [Client.Enroll] does all of it. [Client.Begin] and [Client.Complete] are its
// halves, for a TPM on another machine. Between them the [Challenge] can be kept
// as JSON. The attestation key, which takes a TPM seconds to make, can be made
// while the CA is looked up ([Request.MakeAIK]).
//
// A certificate is returned only if it is for the attestation key, has no
// subject but names the same TPM as the endorsement certificate in a critical
// alternative name, is meant for attestation keys alone (2.23.133.8.3), is valid
// now and leads to the roots. [Trust] says what the CA knew of the TPM, in which
// no certificate may say more than its issuer.
//
// Structures are those of [MS-WCCE]. The service of Windows takes RSA keys
// only; other CAs may take P-256. Keys as Windows makes them, which sign with
// SHA-1, come from [WindowsTemplate].
//
// [MS-WCCE]: https://learn.microsoft.com/openspecs/windows_protocols/ms-wcce
package aik
