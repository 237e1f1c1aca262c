// Package ekcert finds, reads, checks and enrolls the certificates of TPM
// endorsement keys.
//
// A TPM's maker vouches for a chip by a certificate for its endorsement key
// (EK). Discrete TPMs carry it in NV memory, where [Client.Find] looks for it;
// [Parse] reads what is found there: plain DER, DER with fill or with a TCG
// header, PEM, or the JSON of Intel's service. [Client.Verify] checks that a
// certificate is of the key at hand and leads to the roots of the maker it
// names, and reports where it departs from the TCG's profile, as many real
// ones do.
//
// A firmware TPM may have none. [Client.Enroll] then asks the maker's CA for
// one by SCEP (RFC 8894). The CA is checked first; then the TPM shows its
// endorsement key, its maker, model and version, and an attestation key of its
// own; the CA checks that the TPM is not known to be at risk, and gives the
// certificate to whoever opens a challenge that only the holder of the
// endorsement key can open. No maker publishes such a service: the profile of
// these messages is this module's own, for CAs that want to offer it.
//
// The certificate profile is that of the TCG EK Credential Profile for TPM
// Family 2.0. The package knows nothing of TPM commands: it reads NV memory
// through [NVReader] and opens challenges through a function.
package ekcert
