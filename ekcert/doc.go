// Package ekcert finds, reads, checks and enrolls the certificates of TPM
// endorsement keys.
//
// A TPM's maker vouches for a chip by a certificate for its endorsement key
// (EK). [Client.Find] looks for it where it can be: in NV memory, where
// discrete TPMs and newer firmware TPMs carry it; in the registry of Windows;
// and at the maker's service, as Intel and AMD have one for firmware TPMs.
// [Parse] reads what is found there: plain DER, DER with fill or with a TCG
// header, PEM, PKCS #7, the JSON of Intel's service, a value of the registry.
//
// [Client.Verify] checks that a certificate is of the key at hand and leads to
// the roots of the maker it names, on request with issuers from the network and
// against CRLs. What departs from the TCG's profile, as many real certificates
// do, and what is known of weak keys and firmware, it reports as findings.
// Package roots has the makers' roots as a bundle.
//
// A firmware TPM may have none. [Client.Enroll] then asks the maker's CA for
// one by SCEP (RFC 8894). The CA is checked first; then the TPM shows its
// endorsement key, its maker, model and version, and an attestation key of its
// own; the CA checks that the TPM is not known to be at risk, and gives the
// certificate to whoever opens a challenge that only the holder of the
// endorsement key can open. [Client.Begin] and [Client.Complete] are its halves,
// for a TPM on another machine. No maker publishes such a service: the profile
// of these messages is this module's own, for CAs that want to offer it.
//
// # What is sent, and when
//
// Find sends a hash of the key to the services of Intel and AMD, for TPMs of
// these makers that have no certificate of their own, and only if it is told
// the maker; see Client.Services. Verify sends nothing unless FetchIssuers or
// CheckRevocation is set; then it connects to where the certificates say. OCSP
// is not used.
//
// The certificate profile is that of the TCG EK Credential Profile for TPM
// Family 2.0. The package knows nothing of TPM commands: it reads NV memory
// through [NVReader] and opens challenges through a function.
package ekcert
