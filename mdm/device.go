package mdm

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/whiteglove/whiteglove/internal/wire"
)

// DefaultOSVersion is the version of the operating system that a [Device] has
// if it names none: that of Windows 11 24H2.
const DefaultOSVersion = "10.0.26100.1"

// A Device is how a device describes itself to a management server ([MS-MDE2]
// section 3.4.4.1.1.1). Only ID is required, and [Client.Discover] and
// [Client.Policy] do without it. Texts are UTF-8 without control characters.
type Device struct {
	// ID is the device's identifier in management: 1 to 64 ASCII letters,
	// digits and hyphens. It becomes the subject of the certificate request. A
	// GUID, such as the device's identifier in the directory, is sent as 32
	// hexadecimal digits without hyphens, as Windows does.
	ID string

	// HardwareID is a value of 64 hexadecimal digits that stays with the
	// machine. If it is empty, it is the SHA-256 of ID.
	HardwareID string

	// Name is the computer's name. If it is empty, it is "DESKTOP-" and the
	// first seven characters of ID, in upper case and without hyphens.
	Name string

	// Type is the kind of client. If it is empty, it is "CIMClient_Windows".
	Type string

	// OSEdition is the product number of the edition of Windows, such as 4 for
	// Enterprise. If it is 0, it is 48 (Professional).
	OSEdition int

	// OSVersion is the version of the operating system, four numbers separated
	// by dots. If it is empty, it is DefaultOSVersion.
	OSVersion string

	// ApplicationVersion is the version of the enrolling client, four numbers.
	// If it is empty, it is OSVersion.
	ApplicationVersion string

	// EnrollmentType is "Device", or "Full" for the enrollment of a user. If it
	// is empty, it is "Device".
	EnrollmentType string

	// The rest is what else Windows tells; each is sent if it is not empty.
	// TPMManufacturer and TPMFirmware go with the question for the policy only.
	Locale          string   // such as "en-US"
	MACs            []string // addresses of the network cards
	Manufacturer    string
	Model           string
	Serial          string
	TPMManufacturer string // such as "INTC"
	TPMFirmware     string // such as "500.5.0.0"

	// DirectoryID is the device's identifier in the directory, and HardwareHash
	// its hardware hash in base64. Servers read them in a management session; an
	// enrollment does not send them. They may be empty.
	DirectoryID  string
	HardwareHash string
}

// WithDefaults returns d with each empty field set to its default, if it has
// one, and without hyphens in ID if that is a GUID.
func (d Device) WithDefaults() Device {
	if wire.IsGUID(d.ID) {
		d.ID = strings.ReplaceAll(d.ID, "-", "")
	}
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

// Check returns an error if a field of d has a form that [Device] does not
// allow. Empty fields are judged by their defaults, so an empty ID is an error.
// The error is of no exported type.
func (d Device) Check() error {
	d = d.WithDefaults()
	return errors.Join(d.checkFields(), d.checkID())
}

// checkFields checks the fields of d, which has its defaults, except ID.
func (d Device) checkFields() error {
	if d.OSEdition < 0 {
		return fmt.Errorf("the device's OS edition %d is negative", d.OSEdition)
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

// fourNumbers reports whether v has the form of "10.0.26100.1".
func fourNumbers(v string) bool {
	parts := strings.Split(v, ".")
	for _, p := range parts {
		if _, err := strconv.ParseUint(p, 10, 32); err != nil {
			return false
		}
	}
	return len(parts) == 4
}

// writable reports whether XML can hold s, which must be valid UTF-8 without
// control characters.
func writable(s string) bool {
	return strings.ToValidUTF8(s, "\x00") == s && !strings.ContainsFunc(s, func(r rune) bool {
		return r < ' ' || r == 0x7F || r == 0xFFFE || r == 0xFFFF
	})
}
