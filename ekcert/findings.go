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

// A Finding is a deviation from the TCG's certificate profile (EK Credential
// Profile, section 3.2). Its ID is one of
//
//	malformed-extension     a TCG extension cannot be read
//	no-manufacturer         the certificate names no maker, model or version
//	manufacturer-format     vendor ID is not "id:" and 8 hexadecimal digits
//	unknown-manufacturer    vendor ID is in no registry
//	version-format          version is not "id:" and 8 hexadecimal digits
//	alt-name-not-critical   subject is empty, and the alternative name not critical
//	is-ca                   the certificate says it is a CA
//	no-basic-constraints    the certificate does not say whether it is a CA
//	key-usage               the key is not for key encipherment (RSA) or agreement (ECC)
//	key-usage-not-critical  the key usage is not critical
//	no-eku                  the extended key usage does not name endorsement keys
//	no-authority-key-id     no authority key identifier
//	long-serial             serial number over 20 bytes
type Finding struct {
	ID     string
	Detail string // what there is instead; may be empty
}

// findings compares a certificate with the TCG's profile.
func findings(cert *x509.Certificate) []Finding {
	var out []Finding
	add := func(odd bool, id, detail string) {
		if odd {
			out = append(out, Finding{ID: id, Detail: detail})
		}
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
	add(cert.IsCA, "is-ca", "")
	add(!cert.BasicConstraintsValid, "no-basic-constraints", "")
	add(!rightUsage(cert), "key-usage", usage(cert.KeyUsage))
	add(cert.KeyUsage != 0 && !critical(cert, oidKeyUsage), "key-usage-not-critical", "")
	add(!slices.ContainsFunc(cert.UnknownExtKeyUsage, wcce.OIDKeyPurposeEK.Equal), "no-eku", "")
	add(len(cert.AuthorityKeyId) == 0, "no-authority-key-id", "")
	add(len(cert.SerialNumber.Bytes()) > 20, "long-serial", fmt.Sprintf("%d bytes", len(cert.SerialNumber.Bytes())))
	return out
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
