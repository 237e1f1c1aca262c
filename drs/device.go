package drs

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"fmt"
	"slices"
	"strings"

	"github.com/whiteglove/whiteglove/internal/wire"
)

// Object identifiers of the extensions of a device certificate ([MS-DVRJ], and those
// that Entra adds).
var (
	oidDevice = asn1.ObjectIdentifier{1, 2, 840, 113556, 1, 5, 284, 2}
	oidUser   = asn1.ObjectIdentifier{1, 2, 840, 113556, 1, 5, 284, 3}
	oidTenant = asn1.ObjectIdentifier{1, 2, 840, 113556, 1, 5, 284, 5}
	oidJoined = asn1.ObjectIdentifier{1, 2, 840, 113556, 1, 5, 284, 7}
	oidRegion = asn1.ObjectIdentifier{1, 2, 840, 113556, 1, 5, 284, 8}
)

// A Device is a joined device. GUIDs are in lower case, without braces.
type Device struct {
	ID       string // GUID of the device in the directory
	ObjectID string // GUID of the user who joined it or, without a user, of its own object; may be empty
	TenantID string // GUID of the tenant; empty in certificates of AD FS
	Region   string // of the tenant, two letters such as "EU"; may be empty
	Joined   bool   // false if the device is only registered

	Certificate *x509.Certificate // device certificate; its issuer is not sent

	// UPN is the name of the user who joined the device; empty without a user.
	// ParseDevice does not set it.
	UPN string

	// AdminSIDs are the security identifiers that should become members of the
	// device's local group of administrators. ParseDevice does not set it.
	AdminSIDs []string
}

// ParseDevice reads the common name and the extensions of a device certificate. It
// checks that they agree, and nothing else. The value of each extension is an OCTET
// STRING in an OCTET STRING, of which the inner one has a length that is not DER; other
// forms are read, too. The error is not an [*Error]; it wraps [ErrCertificate].
func ParseDevice(cert *x509.Certificate) (*Device, error) {
	if cert == nil {
		return nil, fmt.Errorf("%w: there is none", ErrCertificate)
	}
	d := &Device{Certificate: cert, ID: strings.ToLower(cert.Subject.CommonName)}
	if !wire.IsGUID(d.ID) {
		return nil, fmt.Errorf("%w: common name %q is not a GUID", ErrCertificate, cert.Subject.CommonName)
	}
	var inside string
	for _, f := range []struct {
		id   asn1.ObjectIdentifier
		into *string
	}{{oidDevice, &inside}, {oidUser, &d.ObjectID}, {oidTenant, &d.TenantID}} {
		value, ok := extension(cert, f.id)
		if !ok {
			continue
		}
		guid, ok := guidText(value)
		if !ok {
			return nil, fmt.Errorf("%w: extension %v has %d bytes, not a GUID", ErrCertificate, f.id, len(value))
		}
		*f.into = guid
	}
	if inside != d.ID {
		return nil, fmt.Errorf("%w: its name is %s, its device identifier %q", ErrCertificate, d.ID, inside)
	}
	if v, ok := extension(cert, oidRegion); ok && len(v) == 2 && isLetter(v[0]) && isLetter(v[1]) {
		d.Region = string(v)
	}
	v, _ := extension(cert, oidJoined)
	d.Joined = string(v) == "1"
	return d, nil
}

// extension returns the contents of the OCTET STRING in an extension, and reports
// whether the certificate has the extension.
func extension(cert *x509.Certificate, id asn1.ObjectIdentifier) ([]byte, bool) {
	i := slices.IndexFunc(cert.Extensions, func(e pkix.Extension) bool { return e.Id.Equal(id) })
	if i < 0 {
		return nil, false
	}
	v := cert.Extensions[i].Value
	switch {
	case len(v) >= 3 && v[0] == 0x04 && v[1] == 0x81 && int(v[2]) == len(v)-3:
		return v[3:], true
	case len(v) >= 2 && v[0] == 0x04 && int(v[1]) == len(v)-2:
		return v[2:], true
	}
	return v, true
}

func isLetter(c byte) bool { return c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z' }

// guidText returns the text of a GUID of 16 bytes, whose first three fields are in
// little-endian. It reports whether b has 16 bytes.
func guidText(b []byte) (string, bool) {
	if len(b) != 16 {
		return "", false
	}
	return fmt.Sprintf("%02x%02x%02x%02x-%02x%02x-%02x%02x-%x-%x",
		b[3], b[2], b[1], b[0], b[5], b[4], b[7], b[6], b[8:10], b[10:]), true
}
