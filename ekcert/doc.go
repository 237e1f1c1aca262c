// Package ekcert finds, parses, verifies and enrolls the certificates of TPM
// endorsement keys.
//
// The manufacturer of a TPM, called its maker here, vouches for the chip by a
// certificate for its endorsement key (EK). A server that verifies this
// certificate and has the TPM prove that it holds the key knows that it talks to
// a genuine TPM.
//
//	client := &ekcert.Client{Roots: makers, Intermediates: intermediates} // see package roots
//	cert, err := client.Find(ctx, tpm, vendor, ek)
//	...
//	report, err := client.Verify(ctx, cert, ek)
//	...
//	for _, f := range report.Findings {
//		log.Print(f.Severity, f.ID, f.Detail)
//	}
//
// # Finding
//
// [Client.Find] looks for the certificate in the places where it may be: in the NV
// memory of the TPM, where discrete TPMs and newer firmware TPMs have it; in the
// registry of Windows; and at the maker's web service, which Intel and AMD run for
// firmware TPMs. [Parse] reads the forms that are found there: DER, DER with
// padding or a TCG header, PEM, PKCS #7, the JSON of Intel's service and a value of
// the registry.
//
// # Verifying
//
// [Client.Verify] checks that a certificate is for the given key, is valid, and
// leads to a root of the maker that it names. On request it fetches missing issuers
// and CRLs. Real certificates often deviate from the profile of the TCG; such
// deviations, and published weaknesses of the firmware, are reported as findings
// for the caller to judge ([Report.Findings]). Package roots has the makers' roots
// as a bundle.
//
// # Enrolling
//
// A firmware TPM may have no certificate. [Client.Enroll] then requests one from
// the maker's CA by SCEP (RFC 8894):
//
//  1. The client checks that the CA leads to a root of the maker. Nothing about the
//     TPM is sent before.
//  2. It sends the endorsement key, the TPM's maker, model and version, and an
//     attestation key of the same TPM.
//  3. The CA checks that the TPM is not known to be at risk, and replies with a
//     challenge that only a TPM with both keys can decrypt.
//  4. The client sends the decrypted secret, and receives the certificate.
//
// [Client.Begin] and [Client.Complete] are the two halves, for a TPM on another
// machine. No maker publishes such a service. The profile of these messages is this
// module's own, for CAs that want to offer it; package ekcerttest has one for
// tests.
//
// # What is sent, and when
//
// Find sends a hash of the key to Intel or AMD only if it is told that one of them
// is the maker and finds no certificate on the machine; see [Client.Services]. The
// hash identifies the machine. Verify sends nothing unless FetchIssuers or
// CheckRevocation or RequireRevocation is set; then it connects to the URLs in the
// certificates, but not to addresses that are not public, unless AllowPrivateHosts is
// set.
//
// A request of Find or Verify is given up after 10 seconds. It follows redirects to
// the same host or one below it only. Answers are limited to 64 KiB, CRLs to 4 MiB.
//
// # What is not done
//
// OCSP is not used. SHA-1 signatures, as of TPM 1.2, are refused by crypto/x509.
// Platform certificates and attribute certificates are not read.
//
// The package has no TPM commands: it reads NV memory through [NVReader] and
// decrypts challenges through a function. *attest.TPM has both. Package prove has FindEK,
// which looks for the certificate of each key of a TPM, and makes a [Request].
//
// The certificate profile is that of the TCG EK Credential Profile for TPM Family
// 2.0.
package ekcert
