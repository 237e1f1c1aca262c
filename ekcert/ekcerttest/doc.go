// Package ekcerttest has the servers of a TPM maker, for tests of clients.
//
// [Server] is a CA that certifies endorsement keys by SCEP, with the profile of
// ekcert.Client.Enroll:
//
//	ca := &ekcerttest.Server{AnyEK: true} // or Known
//	ts := httptest.NewServer(ca)
//	client := &ekcert.Client{SCEPURL: ts.URL, Roots: ekcert.Roots{"SIM0": ca.Roots()}}
//
// It is strict. Besides what package sceptest checks of a SCEP message, it checks that
//
//   - the CSR is null-signed, has an empty subject, and asks for one extension only: a
//     critical name of the TPM with maker, model and version in the TCG's form
//   - the endorsement key is of a kind that TPMs are made with: RSA of 2048, 3072 or 4096 bits
//     with exponent 65537, or ECDSA on P-256, P-384 or P-521 ("ek-unsupported")
//   - the maker is known ("manufacturer-unknown"), the key is not revoked
//     ("tpm-revoked"), and the TPM is not at risk ("tpm-at-risk"): ROCA and AtRisk
//   - the maker made a TPM with the key, according to Known ("ek-unknown")
//   - EK_INFO is for the same key
//   - the creation statement is a genuine one of an attestation key
//   - the answer to the challenge comes within ten minutes, once, to the same request,
//     with the right secret
//
// The challenge proves that the client has both the endorsement key and the attestation key
// now, because each challenge has a new secret, which can be decrypted only with both. It
// does not prove that the keys are in a TPM. Software can have such keys, too, name any maker
// and model, and sign the creation statement itself. Only a list of the keys that the maker
// put into its TPMs, for Known, distinguishes a TPM from software.
//
// [Maker] serves certificates that it issued in the ways of Intel and AMD, with its CA
// certificates and CRLs. Its quirks are the oddities of real certificates and services;
// see [Quirks].
//
//	maker := &ekcerttest.Maker{Vendor: "AMD"}
//	ts := httptest.NewServer(maker)
//	maker.BaseURL = ts.URL
//	der, err := maker.Certify(ek)
//
// Both keep the reasons of their refusals.
package ekcerttest
