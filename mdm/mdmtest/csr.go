package mdmtest

import (
	"bytes"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"strings"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"
)

// parseCSR parses a PKCS #10 request (RFC 2986). The PrintableStrings in its
// subject may have any characters, because Windows writes an exclamation mark
// and a NUL into them, which [x509.ParseCertificateRequest] refuses.
func parseCSR(der []byte) (*x509.CertificateRequest, error) {
	var outer, tbs, info, subject cryptobyte.String
	changed := bytes.Clone(der)
	in, original := cryptobyte.String(changed), cryptobyte.String(der)
	if !in.ReadASN1(&outer, asn1.SEQUENCE) || !outer.ReadASN1(&info, asn1.SEQUENCE) || !info.SkipASN1(asn1.INTEGER) ||
		!info.ReadASN1(&subject, asn1.SEQUENCE) || !original.ReadASN1(&original, asn1.SEQUENCE) || !original.ReadASN1Element(&tbs, asn1.SEQUENCE) {
		return nil, errors.New("asn1: not a PKCS #10 request")
	}
	for !subject.Empty() {
		var set cryptobyte.String
		if !subject.ReadASN1(&set, asn1.SET) {
			break // x509 tells what is wrong
		}
		for !set.Empty() {
			var pair, value cryptobyte.String
			var tag asn1.Tag
			if !set.ReadASN1(&pair, asn1.SEQUENCE) || !pair.SkipASN1(asn1.OBJECT_IDENTIFIER) || !pair.ReadAnyASN1Element(&value, &tag) {
				break
			}
			if tag == asn1.PrintableString {
				value[0] = byte(asn1.UTF8String) // in changed
			}
		}
	}
	csr, err := x509.ParseCertificateRequest(changed)
	if err != nil {
		return nil, err
	}
	csr.Raw, csr.RawTBSCertificateRequest = der, tbs // what is signed
	return csr, nil
}

// isSubject reports whether a subject is that of a device: its common name alone,
// which is the DeviceID or, as Windows writes it, another identifier, an
// exclamation mark and the DeviceID. A NUL may follow. A GUID may be written with
// hyphens in one and without them in the other.
func isSubject(subject pkix.Name, deviceID string) bool {
	name := strings.TrimSuffix(subject.CommonName, "\x00")
	if _, after, ok := strings.Cut(name, "!"); ok {
		name = after
	}
	same := name == deviceID || (guid.MatchString(name) || guid.MatchString(deviceID)) && deviceKey(name) == deviceKey(deviceID)
	return len(subject.Names) == 1 && same
}
