package mdm

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// DefaultOSVersion is the version of the operating system that a [Device]
// without one says it has.
const DefaultOSVersion = "10.0.26100.1"

// A Device is what a device says of itself. Only ID is required, and only to
// enroll.
type Device struct {
	// ID is the device's identifier in management: 1 to 64 letters, digits,
	// hyphens, such as a GUID. It is the subject of the certificate request.
	ID string

	// HardwareID is 64 hexadecimal digits that stay with the machine. If
	// empty, they are the SHA-256 of ID.
	HardwareID string

	Name               string // if empty, "DESKTOP-" and seven characters of ID
	Type               string // if empty, "CIMClient_Windows"
	OSEdition          int    // product number of Windows; if 0, 48 (Professional)
	OSVersion          string // four numbers; if empty, DefaultOSVersion
	ApplicationVersion string // four numbers; if empty, OSVersion
	EnrollmentType     string // if empty, "Device"; else "Full", for a user

	// What else Windows tells of itself; sent if not empty.
	Locale                      string   // such as "en-US"
	MACs                        []string // of network cards
	Manufacturer, Model, Serial string
	TPMManufacturer             string // such as "INTC"; sent with the question for the policy
	TPMFirmware                 string // such as "500.5.0.0"; likewise
}

// WithDefaults returns d with each empty field that has a default set to it.
func (d Device) WithDefaults() Device {
	if d.HardwareID == "" {
		d.HardwareID = fmt.Sprintf("%X", sha256.Sum256([]byte(d.ID)))
	}
	if d.Name == "" {
		short := strings.ToUpper(strings.ReplaceAll(d.ID, "-", ""))
		d.Name = "DESKTOP-" + short[:min(7, len(short))]
	}
	if d.OSEdition == 0 {
		d.OSEdition = 48
	}
	d.Type = or(d.Type, "CIMClient_Windows")
	d.OSVersion = or(d.OSVersion, DefaultOSVersion)
	d.ApplicationVersion = or(d.ApplicationVersion, d.OSVersion)
	d.EnrollmentType = or(d.EnrollmentType, "Device")
	return d
}

// Check returns an error if a field of d has a value that no server takes: an
// ID that is not as described, a version that is not four numbers, text that XML
// cannot hold. Empty fields are judged by their defaults. The error is of no
// type of its own.
func (d Device) Check() error {
	d = d.WithDefaults()
	return errors.Join(d.checkFields(), d.checkID())
}

// checkFields checks the fields of d, which has its defaults, except ID.
func (d Device) checkFields() error {
	if d.OSEdition < 0 {
		return fmt.Errorf("the device's OS edition is %d", d.OSEdition)
	}
	for _, v := range []string{d.OSVersion, d.ApplicationVersion} {
		if !fourNumbers(v) {
			return fmt.Errorf("the device's version %.40q is not four numbers", v)
		}
	}
	for _, s := range append([]string{d.Name, d.Type, d.Locale, d.Manufacturer, d.Model, d.Serial, d.TPMManufacturer, d.TPMFirmware}, d.MACs...) {
		if !writable(s) {
			return fmt.Errorf("the device's description %.40q has characters that XML cannot hold", s)
		}
	}
	return nil
}

// checkID checks the identifiers of d, which has its defaults.
func (d Device) checkID() error {
	if d.ID == "" || len(d.ID) > 64 || strings.Trim(d.ID, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-") != "" {
		return fmt.Errorf("the device's identifier %.80q is not 1 to 64 letters, digits and hyphens", d.ID)
	}
	if len(d.HardwareID) != 64 || strings.Trim(d.HardwareID, "0123456789abcdefABCDEF") != "" {
		return errors.New("the device's hardware identifier is not 64 hexadecimal digits")
	}
	if d.EnrollmentType != "Device" && d.EnrollmentType != "Full" {
		return fmt.Errorf("the enrollment type %.40q is not Device or Full", d.EnrollmentType)
	}
	return nil
}

// fourNumbers reports whether v is like "10.0.26100.1".
func fourNumbers(v string) bool {
	parts := strings.Split(v, ".")
	for _, p := range parts {
		if _, err := strconv.ParseUint(p, 10, 32); err != nil {
			return false
		}
	}
	return len(parts) == 4
}

// writable reports whether XML can hold s: valid UTF-8 without control
// characters.
func writable(s string) bool {
	return strings.ToValidUTF8(s, "\x00") == s && !strings.ContainsFunc(s, func(r rune) bool {
		return r < ' ' || r == 0x7F || r == 0xFFFE || r == 0xFFFF
	})
}
