package ekcerttest

import (
	"bytes"
	"cmp"
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"fmt"
	"math/big"
	"strings"
	"time"

	"github.com/whiteglove/whiteglove/internal/wcce"
)

var (
	oidAttributes    = asn1.ObjectIdentifier{2, 5, 29, 9}
	oidSpecification = asn1.ObjectIdentifier{2, 23, 133, 2, 16}
	oidAssertions    = asn1.ObjectIdentifier{2, 23, 133, 2, 18}
	oidNobodys       = asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 99999, 1}
	oidSHA1          = asn1.ObjectIdentifier{1, 2, 840, 10045, 4, 1} // ecdsa-with-SHA1
)

// caTemplate returns the template of a CA certificate.
func (m *Maker) caTemplate(name string) *x509.Certificate {
	tmpl := &x509.Certificate{
		SerialNumber: m.nextSerial(),
		Subject:      pkix.Name{CommonName: "Test TPM " + name, Organization: []string{cmp.Or(m.Vendor, "INTC")}},
		NotBefore:    m.now().AddDate(-5, 0, 0), NotAfter: m.now().AddDate(20, 0, 0),
		IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}
	if m.has("ca-eku") && name != "Root CA" {
		tmpl.UnknownExtKeyUsage = []asn1.ObjectIdentifier{wcce.OIDKeyPurposeEK}
	}
	if m.has("ca-unsorted-name") && name == "Issuing CA" {
		tmpl.RawSubject = unsortedName(name)
	}
	return tmpl
}

// unsortedName returns a name whose only RDN has the longer attribute first, which DER
// forbids.
func unsortedName(name string) []byte {
	attribute := func(oid byte, value string) []byte {
		v := append([]byte{0x0C, byte(len(value))}, value...)
		v = append([]byte{0x06, 0x03, 0x55, 0x04, oid}, v...)
		return append([]byte{0x30, byte(len(v))}, v...)
	}
	set := append(attribute(0x0A, "Test TPM, a longer name"), attribute(0x03, name)...)
	set = append([]byte{0x31, byte(len(set))}, set...)
	return append([]byte{0x30, byte(len(set))}, set...)
}

// nextSerial returns a new serial number.
func (m *Maker) nextSerial() *big.Int {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.serial++
	return big.NewInt(0x7F00 + m.serial)
}

// addURLs adds the URLs of the issuer, "root" or "issuing", and of its CRL to a
// template.
func (m *Maker) addURLs(tmpl *x509.Certificate, by string) {
	if m.BaseURL == "" {
		return
	}
	if !m.has("no-aia") {
		name := by
		if m.has("aia-root") {
			name = "root"
		}
		address := m.BaseURL + "/ca/" + name + ".crt"
		switch {
		case m.has("aia-spaces"):
			address = m.BaseURL + "/ca/the " + name + " CA.crt"
		case m.has("aia-scheme"):
			address = "x-selfsigned:" + name
		}
		tmpl.IssuingCertificateURL = []string{address}
	}
	switch address := m.BaseURL + "/crl/" + by + ".crl"; {
	case m.has("no-crl"):
	case m.has("crl-indirect") && by == "issuing":
		tmpl.ExtraExtensions = append(tmpl.ExtraExtensions, m.indirectPoint())
	default:
		tmpl.CRLDistributionPoints = []string{address}
	}
}

// issue returns a certificate for an endorsement key in DER.
func (m *Maker) issue(ek crypto.PublicKey) ([]byte, error) {
	tmpl, err := m.template(ek)
	if err != nil {
		return nil, err
	}
	by, name := m.ca, "issuing"
	if m.has("issued-by-root") {
		by, name = m.root, "root"
	}
	m.addURLs(tmpl, name)
	der, err := x509.CreateCertificate(rand.Reader, tmpl, by.Certificate, ek, by.key)
	if err != nil {
		return nil, err
	}
	return m.distort(der, by.key)
}

// template returns the template of a certificate for an endorsement key.
func (m *Maker) template(ek crypto.PublicKey) (*x509.Certificate, error) {
	name, err := m.altName()
	if err != nil {
		return nil, err
	}
	attributes, err := m.attributes()
	if err != nil {
		return nil, err
	}
	tmpl := &x509.Certificate{
		SerialNumber: m.nextSerial(),
		NotBefore:    m.now().AddDate(-1, 0, 0), NotAfter: m.now().AddDate(10, 0, 0),
		BasicConstraintsValid: true, KeyUsage: m.keyUsage(ek),
		UnknownExtKeyUsage: []asn1.ObjectIdentifier{wcce.OIDKeyPurposeEK},
		ExtraExtensions:    []pkix.Extension{name, attributes},
	}
	if m.has("no-eku") {
		tmpl.UnknownExtKeyUsage = nil
	}
	if m.has("no-expiry") {
		tmpl.NotAfter = time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC)
	}
	if m.has("expired") {
		tmpl.NotAfter = m.now().AddDate(0, 0, -1)
	}
	if m.has("subject-unknown") {
		tmpl.Subject = pkix.Name{CommonName: "unknown"}
	}
	if m.has("critical-unknown") {
		tmpl.ExtraExtensions = append(tmpl.ExtraExtensions, pkix.Extension{Id: oidNobodys, Critical: true, Value: []byte{5, 0}})
	}
	return tmpl, nil
}

// keyUsage returns the key usage of a certificate for an endorsement key.
func (m *Maker) keyUsage(ek crypto.PublicKey) x509.KeyUsage {
	_, isRSA := ek.(*rsa.PublicKey)
	switch {
	case m.has("signing-ek"):
		return x509.KeyUsageDigitalSignature
	case isRSA, m.has("ecc-key-encipherment"):
		return x509.KeyUsageKeyEncipherment
	}
	return x509.KeyUsageKeyAgreement
}

// altName returns the subject alternative name with maker, model and version.
func (m *Maker) altName() (pkix.Extension, error) {
	values := []string{vendorID(cmp.Or(m.Vendor, "INTC")), cmp.Or(m.Model, "TPM"), cmp.Or(m.Version, "id:00070055")}
	if m.has("lower-case-vendor") {
		values[0] = strings.ToLower(values[0])
	}
	if m.has("short-version") {
		values[2] = "id:0728"
	}
	ids := []asn1.ObjectIdentifier{wcce.OIDTPMManufacturer, wcce.OIDTPMModel, wcce.OIDTPMVersion}
	order, tag := []int{0, 1, 2}, asn1.TagUTF8String
	if m.has("printable-string") {
		order, tag = []int{2, 0, 1}, asn1.TagPrintableString
	}
	var one pkix.RelativeDistinguishedNameSET
	var three pkix.RDNSequence
	for _, i := range order {
		atv := pkix.AttributeTypeAndValue{Type: ids[i], Value: asn1.RawValue{Tag: tag, Bytes: []byte(values[i])}}
		one = append(one, atv)
		three = append(three, pkix.RelativeDistinguishedNameSET{atv})
	}
	rdns := pkix.RDNSequence{one}
	if m.has("three-rdns") {
		rdns = three
	}
	der, err := asn1.Marshal(rdns)
	if err != nil {
		return pkix.Extension{}, err
	}
	value, err := asn1.Marshal([]asn1.RawValue{{Class: asn1.ClassContextSpecific, Tag: 4, IsCompound: true, Bytes: der}})
	return pkix.Extension{Id: wcce.OIDSubjectAltName, Critical: !m.has("uncritical-alt-name"), Value: value}, err
}

// vendorID returns the TCG vendor ID of a short name, or what it is given.
func vendorID(name string) string {
	if len(name) > 4 {
		return name
	}
	pad := "\x00"
	if name == "STM" || name == "NSM" { // the registry pads them with a space
		pad = " "
	}
	return fmt.Sprintf("id:%X", name+strings.Repeat(pad, 4-len(name)))
}

// attributes returns the subject directory attributes: the specification and, with its
// quirk, the security assertions.
func (m *Maker) attributes() (pkix.Extension, error) {
	type attribute struct {
		ID     asn1.ObjectIdentifier
		Values []any `asn1:"set"`
	}
	list := []attribute{{oidSpecification, []any{struct {
		Family          string `asn1:"utf8"`
		Level, Revision int
	}{"2.0", 0, 138}}}}
	if m.has("security-assertions") {
		list = append(list, attribute{oidAssertions, []any{struct {
			Version     int
			Upgradable  bool
			Generation  asn1.Enumerated `asn1:"tag:0"`
			Location    asn1.Enumerated `asn1:"tag:1"`
			Certificate asn1.Enumerated `asn1:"tag:2"`
		}{1, true, 1, 0, 0}}})
	}
	value, err := asn1.Marshal(list)
	return pkix.Extension{Id: oidAttributes, Critical: m.has("critical-attributes"), Value: value}, err
}

// distort makes certificates that crypto/x509 cannot make: it edits one and signs it
// again.
func (m *Maker) distort(der []byte, key *ecdsa.PrivateKey) ([]byte, error) {
	var cert struct {
		TBS struct {
			Version, Serial, Algorithm, Issuer, Validity, Subject, Key, Extensions asn1.RawValue
		}
		Algorithm asn1.RawValue
		Signature asn1.BitString
	}
	if _, err := asn1.Unmarshal(der, &cert); err != nil {
		return nil, err
	}
	raw := func(b []byte) asn1.RawValue { return asn1.RawValue{FullBytes: b} }
	if m.has("negative-serial") {
		cert.TBS.Serial = raw([]byte{0x02, 0x02, 0xFF, 0x01})
	}
	if m.has("padded-serial") {
		cert.TBS.Serial = raw([]byte{0x02, 0x03, 0x00, 0x00, 0x01})
	}
	if m.has("oaep-key") { // rsaEncryption and id-RSAES-OAEP differ in the last byte
		rsaKey, oaep := []byte{0xF7, 0x0D, 0x01, 0x01, 0x01}, []byte{0xF7, 0x0D, 0x01, 0x01, 0x07}
		cert.TBS.Key = raw(bytes.Replace(cert.TBS.Key.FullBytes, rsaKey, oaep, 1))
	}
	if m.has("sha1-signature") {
		alg, err := asn1.Marshal(struct{ ID asn1.ObjectIdentifier }{oidSHA1})
		if err != nil {
			return nil, err
		}
		cert.TBS.Algorithm, cert.Algorithm = raw(alg), raw(alg)
	}
	tbs, err := asn1.Marshal(cert.TBS)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(tbs)
	digest := sum[:]
	if m.has("sha1-signature") {
		sum := sha1.Sum(tbs)
		digest = sum[:]
	}
	if m.has("forged-signature") {
		digest[0] ^= 1
	}
	signature, err := ecdsa.SignASN1(rand.Reader, key, digest)
	if err != nil {
		return nil, err
	}
	cert.Signature = asn1.BitString{Bytes: signature, BitLength: 8 * len(signature)}
	return asn1.Marshal(cert)
}
