package ekcerttest

import (
	"fmt"
	"maps"
	"slices"
)

// quirks are the oddities that a Maker can have, with a description.
var quirks = map[string]string{
	// The certificate.
	"ecc-key-encipherment": "an ECC key has the key usage keyEncipherment, as with Intel's Comet Lake",
	"signing-ek":           "the key usage is digitalSignature, as in Google's second certificate",
	"no-eku":               "there is no extended key usage",
	"three-rdns":           "maker, model and version are in three RDNs instead of one",
	"printable-string":     "maker, model and version are PrintableStrings in another order, as Nuvoton's",
	"short-version":        "the version has four digits, as Infineon's SLB9670",
	"lower-case-vendor":    "the vendor ID is in lower case, as IBM's simulator",
	"uncritical-alt-name":  "the subject alternative name is not critical",
	"subject-unknown":      "the subject is CN=unknown, as with swtpm",
	"security-assertions":  "the subject directory attributes have tPMSecurityAssertions, as STM's",
	"critical-unknown":     "there is an unknown critical extension",
	"critical-attributes":  "the subject directory attributes are critical",
	"issued-by-root":       "the root is the issuer, as with Nuvoton",
	"no-expiry":            "the certificate is valid until 9999-12-31, as STM's",
	"expired":              "the certificate expired yesterday",
	"negative-serial":      "the serial number is negative",
	"padded-serial":        "the serial number has surplus zero bytes",
	"oaep-key":             "the algorithm of the key is RSAES-OAEP, as with TPM 1.2",
	"sha1-signature":       "the signature uses SHA-1",
	"forged-signature":     "the signature does not hold",
	"ca-eku":               "the CA has the extended key usage of endorsement keys, as Infineon's",
	"ca-unsorted-name":     "the name of the CA has an unsorted SET, as Nuvoton's",

	// The form in NV memory.
	"fill-ff":  "padded with FF to 1600 bytes, as STM's",
	"fill-00":  "padded with 00 to 1600 bytes",
	"fill-11":  "padded with 11 to 1600 bytes",
	"header-5": "preceded by a TCG header of 5 bytes",
	"header-7": "preceded by a TCG header of 7 bytes",
	"joined":   "followed by the certificate of the CA",

	// The answers of the service.
	"answer-der":      "DER instead of JSON, with the content type text/plain",
	"answer-pem":      "PEM",
	"answer-json":     "JSON instead of DER",
	"answer-foreign":  "the certificate of another key",
	"answer-portal":   "an HTML page with status 200",
	"answer-huge":     "an endless answer",
	"answer-redirect": "a redirect to another domain",
	"status-403":      "HTTP status 403",
	"status-405":      "HTTP status 405",
	"status-429":      "HTTP status 429, with Retry-After",
	"status-500":      "HTTP status 500",

	// The issuers' certificates.
	"no-aia":      "the certificate has no URL of its issuer",
	"aia-pem":     "the issuer is served in PEM",
	"aia-p7b":     "the issuer is served in PKCS #7, with the root",
	"aia-spaces":  "the URL has spaces, as Nuvoton's",
	"aia-root":    "the URL is that of the root, as Nuvoton's",
	"aia-missing": "HTTP status 404",
	"aia-scheme":  "the URL has the scheme x-selfsigned, as VMware's",

	// The CRLs.
	"no-crl":       "the certificate has no URL of a CRL, as STM's",
	"crl-pem":      "PEM",
	"crl-missing":  "HTTP status 404",
	"crl-stale":    "the CRL is out of date",
	"crl-forged":   "the signature does not hold",
	"crl-delta":    "it is a delta CRL",
	"crl-reasons":  "the CRL covers only some reasons",
	"crl-ca-only":  "the CRL covers only CAs",
	"crl-entry":    "an entry has an unknown critical extension",
	"crl-indirect": "the CRL is indirect, as that of Intel's On-Die CA",
}

// Quirks returns the names of the quirks that a [Maker] can have, sorted, and their
// descriptions by name.
func Quirks() (names []string, what map[string]string) {
	return slices.Sorted(maps.Keys(quirks)), maps.Clone(quirks)
}

// checkQuirks returns an error if a quirk is not known.
func checkQuirks(names []string) error {
	for _, name := range names {
		if quirks[name] == "" {
			return fmt.Errorf("no such quirk: %q", name)
		}
	}
	return nil
}
