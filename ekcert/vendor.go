package ekcert

import (
	"crypto/x509"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
)

// vendors are the short names of the makers in the TCG Vendor ID Registry, and of some
// that are not in it but occur in real certificates.
var vendors = []string{
	"AMD", "AMZN", "ANT", "ATML", "BRCM", "CSCO", "FLYS",
	"GOOG", "HISI", "HPE", "HPI", "IBM", "IFX", "INTC",
	"LEN", "MSFT", "NSG", "NSM", "NTC", "NTZ", "PRLS",
	"QCOM", "ROCC", "SEAL", "SECE", "SMSC", "SMSN", "SNS",
	"STM", "TXN", "VMW", "WEC",
}

// knownVendor reports whether vendors has name, or the registry reserves it for
// simulators and tests.
func knownVendor(name string) bool {
	if len(name) == 4 && (strings.HasPrefix(name, "SIM") || strings.HasPrefix(name, "TST")) {
		return name[3] >= '0' && name[3] <= '7'
	}
	return slices.Contains(vendors, name)
}

// VendorName returns the short name of a maker, as in [Roots], for its TCG vendor ID or
// short name: "id:494E5443", "494e5443" and "INTC" give "INTC"; "id:53544D20" and
// "STM " give "STM". If the ID does not consist of printable characters, the short name
// is its 8 hexadecimal digits in upper case, such as "00001014". VendorName returns ""
// if id is not a vendor ID.
//
// "id:000A0005", which Microsoft's Pluton has in its certificates, gives "MSFT".
func VendorName(id string) string {
	if strings.EqualFold(strings.TrimPrefix(id, "id:"), "000A0005") {
		return "MSFT"
	}
	digits, marked := strings.CutPrefix(id, "id:")
	if raw, err := hex.DecodeString(digits); err == nil && len(raw) == 4 {
		if name := trimVendor(string(raw)); isVendorText(name) {
			return name
		}
		return strings.ToUpper(digits)
	}
	if name := trimVendor(id); !marked && isVendorText(name) {
		return name
	}
	return ""
}

// vendorOf returns the maker whose roots are for a certificate: the one that it names or,
// if it names none, the one that its issuer is.
func vendorOf(cert *x509.Certificate, manufacturer string) string {
	if manufacturer == "" && slices.Contains(cert.Issuer.Organization, "Google LLC") {
		return "GOOG" // of its cloud's virtual TPMs, some certificates name no maker
	}
	return VendorName(manufacturer)
}

// makerName returns a short name for texts. That of IBM, of whose code many emulators are, has
// no letters.
func makerName(vendor string) string {
	if vendor == "00001014" {
		return "IBM (id:00001014)"
	}
	return vendor
}

// trimVendor removes the padding of a vendor ID.
func trimVendor(s string) string { return strings.TrimRight(s, "\x00 ") }

// isVendorText reports whether s consists of one to four printable characters.
func isVendorText(s string) bool {
	for i := range len(s) {
		if s[i] <= ' ' || s[i] > '~' {
			return false
		}
	}
	return len(s) > 0 && len(s) <= 4
}

// vendorID returns the TCG vendor ID for a short name: "id:" and 8 hexadecimal digits.
func vendorID(name string) (string, error) {
	switch {
	case len(name) == 8:
		if _, err := hex.DecodeString(name); err != nil {
			return "", fmt.Errorf("%q is not a TCG vendor ID", name)
		}
		return "id:" + name, nil
	case !isVendorText(name):
		return "", fmt.Errorf("%q is not a TCG vendor ID", name)
	}
	pad := "\x00"
	if name == "STM" || name == "NSM" { // the registry pads them with a space
		pad = " "
	}
	full := name + strings.Repeat(pad, 4-len(name))
	return fmt.Sprintf("id:%X", full), nil
}
