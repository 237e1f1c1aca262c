package ekcert

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"

	"github.com/whiteglove/whiteglove/internal/wcce"
)

// Severity is how much a finding should weigh.
type Severity int

// Severities.
const (
	Info    Severity = iota // harmless, and common in the field
	Warning                 // to be looked at: not what the profile wants of an endorsement key, or advice
)

// String returns "info" or "warning".
func (s Severity) String() string {
	switch s {
	case Info:
		return "info"
	case Warning:
		return "warning"
	}
	return fmt.Sprintf("Severity(%d)", int(s))
}

// A Finding is a deviation from the TCG's certificate profile (EK Credential
// Profile, section 3.2) that real certificates have, or advice. Its ID is one of
//
//	malformed-extension     warning   a TCG extension cannot be read
//	no-manufacturer         warning   the certificate names no maker, model or version
//	manufacturer-format     warning   vendor ID is not "id:" and 8 hexadecimal digits
//	unknown-manufacturer    info      vendor ID is in no registry
//	version-format          info      version is not "id:" and 8 hexadecimal digits
//	alt-name-not-critical   info      subject is empty, and the alternative name not critical
//	no-basic-constraints    info      the certificate does not say whether it is a CA
//	key-usage               warning   there is no key usage, or it is agreement for an RSA key;
//	                        info      it is encipherment for an ECC key, as Intel has them
//	key-usage-not-critical  info      the key usage is not critical
//	no-eku                  info      there is no extended key usage, or any is
//	no-authority-key-id     info      no authority key identifier
//	long-serial             info      serial number over 20 bytes
//	firmware-advisory       warning   the version has a known weakness, see [Advisories]
type Finding struct {
	ID       string
	Severity Severity
	Detail   string // what there is instead; may be empty
	CVE      string // of a weakness, else ""
}

// infos are the findings that are harmless.
var infos = map[string]bool{
	"unknown-manufacturer": true, "version-format": true, "alt-name-not-critical": true,
	"no-basic-constraints": true, "key-usage-not-critical": true, "no-eku": true,
	"no-authority-key-id": true, "long-serial": true,
}

// checkPurpose returns an error that wraps ErrNotEK if a certificate says of
// itself what that of an endorsement key cannot: a maker's CA may certify other
// keys of a TPM too, whose holder could not be challenged by them. What it does
// not say is a finding.
func checkPurpose(cert *x509.Certificate) error {
	const opens = x509.KeyUsageKeyEncipherment | x509.KeyUsageKeyAgreement
	switch {
	case cert.IsCA:
		return fmt.Errorf("%w: it is a CA's", ErrNotEK)
	case !mayBeForEKs(cert):
		return fmt.Errorf("%w: its extended key usage names others", ErrNotEK)
	case cert.KeyUsage != 0 && cert.KeyUsage&opens == 0:
		return fmt.Errorf("%w: its key usage is neither encipherment nor agreement, but %s", ErrNotEK, usage(cert.KeyUsage))
	}
	return nil
}

// mayBeForEKs reports whether the extended key usage of a certificate, of a key
// or of a CA, leaves room for endorsement keys.
func mayBeForEKs(cert *x509.Certificate) bool {
	return len(cert.ExtKeyUsage)+len(cert.UnknownExtKeyUsage) == 0 || namesEKs(cert) ||
		slices.Contains(cert.ExtKeyUsage, x509.ExtKeyUsageAny)
}

func namesEKs(cert *x509.Certificate) bool {
	return slices.ContainsFunc(cert.UnknownExtKeyUsage, wcce.OIDKeyPurposeEK.Equal)
}

// findings compares a certificate that checkPurpose lets pass with the TCG's
// profile, and with what is known of weak firmware.
func findings(cert *x509.Certificate) []Finding {
	var out []Finding
	add := func(odd bool, id, detail string) {
		if !odd {
			return
		}
		severity := Warning
		if infos[id] || id == "key-usage" && cert.KeyUsage&x509.KeyUsageKeyEncipherment != 0 {
			severity = Info
		}
		out = append(out, Finding{ID: id, Severity: severity, Detail: detail})
	}
	f, err := readFields(cert)
	if err != nil {
		add(true, "malformed-extension", err.Error())
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
	add(len(cert.SerialNumber.Bytes()) > 20, "long-serial", fmt.Sprintf("%d bytes", len(cert.SerialNumber.Bytes())))
	return append(out, Advisories(f.manufacturer, f.version)...)
}

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

func critical(cert *x509.Certificate, id asn1.ObjectIdentifier) bool {
	return slices.ContainsFunc(cert.Extensions, func(e pkix.Extension) bool { return e.Id.Equal(id) && e.Critical })
}

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
	return fmt.Sprintf("bits %#x", int(u))
}
