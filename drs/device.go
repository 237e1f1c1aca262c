package drs

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
)

// Identifiers of a device certificate's extensions.
var (
	oidDevice = asn1.ObjectIdentifier{1, 2, 840, 113556, 1, 5, 284, 2}
	oidUser   = asn1.ObjectIdentifier{1, 2, 840, 113556, 1, 5, 284, 3}
	oidTenant = asn1.ObjectIdentifier{1, 2, 840, 113556, 1, 5, 284, 5}
	oidJoined = asn1.ObjectIdentifier{1, 2, 840, 113556, 1, 5, 284, 7}
	oidRegion = asn1.ObjectIdentifier{1, 2, 840, 113556, 1, 5, 284, 8}
)

// A Device is a joined device. GUIDs are in lower case.
type Device struct {
	ID       string // its identifier in the directory
	ObjectID string // of who joined it: a user or, without one, the device itself; may be empty
	TenantID string // empty in certificates of AD FS
	Region   string // of the tenant, two letters such as "EU"; may be empty
	Joined   bool   // false if it is only registered

	Certificate *x509.Certificate

	UPN       string   // of the user who joined it; empty without one
	AdminSIDs []string // to be made administrators of the device
}

// ParseDevice reads a device certificate: its common name and extensions. Their
// values are an OCTET STRING in an OCTET STRING, the inner one with a length
// that is not DER; other forms are read, too. It does not judge the certificate
// otherwise. Its errors wrap [ErrCertificate].
func ParseDevice(cert *x509.Certificate) (*Device, error) {
	d := &Device{Certificate: cert, ID: strings.ToLower(cert.Subject.CommonName)}
	if !isGUID(d.ID) {
		return nil, fmt.Errorf("%w: common name %q is no GUID", ErrCertificate, cert.Subject.CommonName)
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

// extension returns the content of an extension, without the OCTET STRING
// around it. It reports whether there is one.
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

// guidText returns a GUID of 16 bytes as text. Its first three fields are in
// little-endian.
func guidText(b []byte) (string, bool) {
	if len(b) != 16 {
		return "", false
	}
	return fmt.Sprintf("%02x%02x%02x%02x-%02x%02x-%02x%02x-%x-%x",
		b[3], b[2], b[1], b[0], b[5], b[4], b[7], b[6], b[8:10], b[10:]), true
}

// isGUID reports whether s has the form of a GUID, without braces.
func isGUID(s string) bool {
	if len(s) != 36 || s[8] != '-' || s[13] != '-' || s[18] != '-' || s[23] != '-' {
		return false
	}
	b, err := hex.DecodeString(strings.ReplaceAll(s, "-", ""))
	return err == nil && len(b) == 16
}
