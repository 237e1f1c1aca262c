package ekcerttest

import (
	"fmt"
	"maps"
	"slices"
)

// quirks are the oddities that a Maker can have, with what they are.
var quirks = map[string]string{
	// Of the certificate.
	"ecc-key-encipherment": "an ECC key is for key encipherment, as Intel's Comet Lake has it",
	"signing-ek":           "the key is for signatures, as Google's second one",
	"no-eku":               "no extended key usage",
	"three-rdns":           "maker, model and version in three RDNs instead of one",
	"printable-string":     "these as PrintableString, in another order, as Nuvoton's",
	"short-version":        "version of four digits, as Infineon's SLB9670",
	"lower-case-vendor":    "vendor ID in lower case, as IBM's simulator",
	"uncritical-alt-name":  "the subject alternative name is not critical",
	"subject-unknown":      "subject CN=unknown, as swtpm's",
	"security-assertions":  "tPMSecurityAssertions in the subject directory attributes, as STM's",
	"critical-unknown":     "a critical extension that nobody knows",
	"critical-attributes":  "the subject directory attributes are critical",
	"issued-by-root":       "the root issues, as Nuvoton's",
	"no-expiry":            "valid until 9999-12-31, as STM's",
	"expired":              "expired yesterday",
	"negative-serial":      "negative serial number",
	"padded-serial":        "serial number with surplus zero bytes",
	"oaep-key":             "the key's algorithm is RSAES-OAEP, as in TPM 1.2's time",
	"sha1-signature":       "signed with SHA-1",
	"forged-signature":     "the signature does not hold",
	"ca-eku":               "the issuing CA is marked as an endorsement key, as Infineon's",
	"ca-unsorted-name":     "the CA's name has an unsorted SET, as Nuvoton's",

	// Of the form in NV memory.
	"fill-ff":  "filled with FF up to 1600 bytes, as STM's",
	"fill-00":  "filled with 00 up to 1600 bytes",
	"fill-11":  "filled with 11 up to 1600 bytes",
	"header-5": "behind a TCG header of 5 bytes",
	"header-7": "behind a TCG header of 7 bytes",
	"joined":   "followed by the CA's certificate",

	// Of the service.
	"answer-der":      "DER where JSON is usual, and labeled as text",
	"answer-pem":      "PEM",
	"answer-json":     "JSON where DER is usual",
	"answer-foreign":  "the certificate of another key",
	"answer-portal":   "an HTML page with status 200",
	"answer-huge":     "an answer without end",
	"answer-redirect": "a redirect to another domain",
	"status-403":      "HTTP status 403",
	"status-405":      "HTTP status 405",
	"status-429":      "HTTP status 429, with Retry-After",
	"status-500":      "HTTP status 500",

	// Of the issuers.
	"no-aia":      "no URL of the issuer",
	"aia-pem":     "PEM",
	"aia-p7b":     "PKCS #7, with the root",
	"aia-spaces":  "URL with spaces, as Nuvoton's",
	"aia-root":    "URL of the root instead of the issuer, as Nuvoton's",
	"aia-missing": "HTTP status 404",
	"aia-scheme":  "URL with the scheme x-selfsigned, as VMware's",

	// Of the CRLs.
	"no-crl":       "no URL of a CRL, as STM's",
	"crl-pem":      "PEM",
	"crl-missing":  "HTTP status 404",
	"crl-stale":    "out of date",
	"crl-forged":   "the signature does not hold",
	"crl-delta":    "a delta CRL",
	"crl-reasons":  "a CRL for some reasons only",
	"crl-ca-only":  "a CRL for CAs only",
	"crl-entry":    "an entry with an unknown critical extension",
	"crl-indirect": "an indirect CRL, as Intel's On-Die CA has it",
}

// Quirks returns the names of the quirks that a [Maker] can have, sorted, with
// what they are.
func Quirks() (names []string, what map[string]string) {
	return slices.Sorted(maps.Keys(quirks)), maps.Clone(quirks)
}

// checkQuirks returns an error for one that is not known.
func checkQuirks(names []string) error {
	for _, name := range names {
		if quirks[name] == "" {
			return fmt.Errorf("no such quirk: %q", name)
		}
	}
	return nil
}
