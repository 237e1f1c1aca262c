package ekcert

import (
	"encoding/hex"
	"fmt"
	"strings"
)

// vendors are the makers in the TCG's vendor ID registry, and those seen in
// the field without being there.
var vendors = map[string]bool{
	"AMD": true, "AMZN": true, "ANT": true, "ATML": true, "BRCM": true, "CSCO": true, "FLYS": true,
	"GOOG": true, "HISI": true, "HPE": true, "HPI": true, "IBM": true, "IFX": true, "INTC": true,
	"LEN": true, "MSFT": true, "NSG": true, "NSM": true, "NTC": true, "NTZ": true, "PRLS": true,
	"QCOM": true, "ROCC": true, "SEAL": true, "SECE": true, "SMSC": true, "SMSN": true, "SNS": true,
	"STM": true, "TXN": true, "VMW": true, "WEC": true,
}

func knownVendor(name string) bool {
	if len(name) == 4 && (strings.HasPrefix(name, "SIM") || strings.HasPrefix(name, "TST")) {
		return name[3] >= '0' && name[3] <= '7'
	}
	return vendors[name]
}

// VendorName returns the short name of a maker for its TCG vendor ID, as it is
// used in [Roots]: "id:494E5443", "494e5443" and "INTC" give "INTC";
// "id:53544D20" and "STM " give "STM". Where the ID is not four printable
// characters it is its 8 upper-case hexadecimal digits, as "00001014". What is
// no vendor ID gives "".
func VendorName(id string) string {
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

func trimVendor(s string) string { return strings.TrimRight(s, "\x00 ") }

func isVendorText(s string) bool {
	for i := range len(s) {
		if s[i] <= ' ' || s[i] > '~' {
			return false
		}
	}
	return len(s) > 0 && len(s) <= 4
}

// vendorID returns the TCG vendor ID, "id:" and 8 digits, of a short name.
func vendorID(name string) (string, error) {
	switch {
	case len(name) == 8:
		if _, err := hex.DecodeString(name); err != nil {
			return "", fmt.Errorf("%q is no TCG vendor ID", name)
		}
		return "id:" + name, nil
	case !isVendorText(name):
		return "", fmt.Errorf("%q is no TCG vendor ID", name)
	}
	pad := "\x00"
	if name == "STM" || name == "NSM" { // registered with a space
		pad = " "
	}
	full := name + strings.Repeat(pad, 4-len(name))
	return fmt.Sprintf("id:%X", full), nil
}
