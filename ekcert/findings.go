package ekcert

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"

	"github.com/whiteglove/whiteglove/internal/plain"
	"github.com/whiteglove/whiteglove/internal/wcce"
	"github.com/whiteglove/whiteglove/internal/wire"
)

// Severity says how serious a [Finding] is.
type Severity int

// The values of [Finding.Severity].
const (
	Info    Severity = iota // a harmless deviation that is common in real certificates
	Warning                 // someone should look at it: a deviation in what matters, or advice
)

// String returns "info", "warning", or the number.
func (s Severity) String() string {
	switch s {
	case Info:
		return "info"
	case Warning:
		return "warning"
	}
	return fmt.Sprintf("Severity(%d)", int(s))
}

// A Finding is a deviation of a certificate from the TCG profile (EK Credential
// Profile, section 3.2) that does not make it invalid, or advice about the firmware.
// Its ID is one of
//
//	malformed-extension     warning  an extension of the TCG cannot be read
//	no-manufacturer         warning  maker, model or version is missing
//	manufacturer-format     warning  the vendor ID is not "id:" and 8 hexadecimal digits
//	unknown-manufacturer    info     the vendor ID is not in the TCG's registry
//	version-format          info     the version is not "id:" and 8 hexadecimal digits
//	alt-name-not-critical   info     the subject is empty, but the alternative name not critical
//	no-basic-constraints    info     the certificate does not say whether it is a CA's
//	key-usage               warning  there is no key usage, or the wrong one for the kind of key
//	                        info     it is keyEncipherment for an ECC key, as Intel has it
//	key-usage-not-critical  info     the key usage is not critical
//	no-eku                  info     there is no extended key usage for EKs, or it is "any"
//	no-authority-key-id     info     there is no authority key identifier
//	long-serial             info     the serial number has over 20 bytes
//	serial-encoding         info     the serial number has superfluous leading zeros, which is not DER
//	trailing-data           warning  other data than padding or certificates follows the certificate
//	tpm-1.2                 warning  the certificate says that the TPM is one of family 1.2
//	unusual-key             warning  the key is not one of the profile: RSA of 2048, 3072 or 4096 bits with
//	                                 the exponent 65537, or ECDSA on P-256, P-384 or P-521
//	revocation-unknown      warning  CheckRevocation is set, but a certificate of the chain has no CRL that can
//	                                 be fetched and is valid
//	firmware-advisory       warning  the version has a published weakness; see [Advisories]
type Finding struct {
	ID       string
	Severity Severity
	Detail   string // the actual value, in printable characters, or a description of the weakness; may be empty
	CVE      string // of a weakness, such as "CVE-2019-16863"; else empty
}

// infos holds the IDs of harmless findings.
var infos = []string{
	"unknown-manufacturer", "version-format", "alt-name-not-critical",
	"no-basic-constraints", "key-usage-not-critical", "no-eku",
	"no-authority-key-id", "long-serial", "serial-encoding",
}

// checkPurpose returns an error that wraps ErrNotEK if a certificate says that it is
// for something else than an endorsement key. A maker's CA may certify other keys of a
// TPM, too, which cannot decrypt a challenge. What a certificate leaves out is a
// finding.
func checkPurpose(cert *x509.Certificate) error {
	const opens = x509.KeyUsageKeyEncipherment | x509.KeyUsageKeyAgreement
	switch {
	case cert.IsCA:
		return fmt.Errorf("%w: it is the certificate of a CA", ErrNotEK)
	case !mayBeForEKs(cert):
		return fmt.Errorf("%w: its extended key usage is for other keys", ErrNotEK)
	case cert.KeyUsage != 0 && cert.KeyUsage&opens == 0:
		return fmt.Errorf("%w: its key usage is neither encipherment nor agreement, but %s", ErrNotEK, usage(cert.KeyUsage))
	}
	return nil
}

// mayBeForEKs reports whether the extended key usage of a certificate, of a key or of
// a CA, permits endorsement keys.
func mayBeForEKs(cert *x509.Certificate) bool {
	return len(cert.ExtKeyUsage)+len(cert.UnknownExtKeyUsage) == 0 || namesEKs(cert) ||
		slices.Contains(cert.ExtKeyUsage, x509.ExtKeyUsageAny)
}

// namesEKs reports whether the extended key usage has tcg-kp-EKCertificate.
func namesEKs(cert *x509.Certificate) bool {
	return slices.ContainsFunc(cert.UnknownExtKeyUsage, wcce.OIDKeyPurposeEK.Equal)
}

// findings compares a certificate that passed checkPurpose with the TCG profile, and
// its version with published weaknesses.
func findings(c *Certificate) []Finding {
	cert := c.Certificate
	var out []Finding
	add := func(odd bool, id, detail string) {
		if !odd {
			return
		}
		severity := Warning
		if slices.Contains(infos, id) || id == "key-usage" && cert.KeyUsage&x509.KeyUsageKeyEncipherment != 0 {
			severity = Info
		}
		out = append(out, Finding{ID: id, Severity: severity, Detail: wire.Words(detail)})
	}
	f, err := readFields(cert)
	if err != nil {
		add(true, "malformed-extension", plain.Text(err))
	}
	vendor := VendorName(f.manufacturer)
	add(f.manufacturer == "" || f.model == "" || f.version == "", "no-manufacturer", missing(f))
	add(f.manufacturer != "" && !isID(f.manufacturer), "manufacturer-format", f.manufacturer)
	add(f.manufacturer != "" && !knownVendor(vendor), "unknown-manufacturer", f.manufacturer)
	add(f.version != "" && !isID(f.version), "version-format", f.version)
	add(emptyName(cert.RawSubject) && f.altName && !critical(cert, wcce.OIDSubjectAltName), "alt-name-not-critical", "")
	add(!cert.BasicConstraintsValid, "no-basic-constraints", "")
	add(!rightUsage(cert), "key-usage", usage(cert.KeyUsage))
	add(cert.KeyUsage != 0 && !critical(cert, oidKeyUsage), "key-usage-not-critical", "")
	add(!namesEKs(cert), "no-eku", "")
	add(len(cert.AuthorityKeyId) == 0, "no-authority-key-id", "")
	odd := unusual(cert.PublicKey)
	add(odd != "", "unusual-key", odd)
	add(len(cert.SerialNumber.Bytes()) > 20, "long-serial", fmt.Sprintf("%d bytes", len(cert.SerialNumber.Bytes())))
	add(superfluous(serialNumber(cert.Raw)) > 0, "serial-encoding", "")
	add(c.trailing > 0, "trailing-data", fmt.Sprintf("%d bytes", c.trailing))
	add(isTPM12(cert), "tpm-1.2", "")
	return append(out, Advisories(f.manufacturer, f.version)...) // these versions are numbers
}

// missing lists the names that a certificate lacks.
func missing(f fields) string {
	var names []string
	for _, v := range []struct{ name, value string }{
		{"manufacturer", f.manufacturer}, {"model", f.model}, {"version", f.version},
	} {
		if v.value == "" {
			names = append(names, "no "+v.name)
		}
	}
	return strings.Join(names, ", ")
}

// isID reports whether s is "id:" and 8 hexadecimal digits.
func isID(s string) bool {
	digits, ok := strings.CutPrefix(s, "id:")
	raw, err := hex.DecodeString(digits)
	return ok && err == nil && len(raw) == 4
}

func emptyName(der []byte) bool { return len(der) == 2 }

// critical reports whether cert has the extension id and it is critical.
func critical(cert *x509.Certificate, id asn1.ObjectIdentifier) bool {
	return slices.ContainsFunc(cert.Extensions, func(e pkix.Extension) bool { return e.Id.Equal(id) && e.Critical })
}

// rightUsage reports whether the key usage is that of the profile for the kind of key.
func rightUsage(cert *x509.Certificate) bool {
	if isRSA(cert.PublicKey) {
		return cert.KeyUsage&x509.KeyUsageKeyEncipherment != 0
	}
	return cert.KeyUsage&x509.KeyUsageKeyAgreement != 0
}

func usage(u x509.KeyUsage) string {
	if u == 0 {
		return "none"
	}
	return fmt.Sprintf("bits 0x%04X", int(u))
}
