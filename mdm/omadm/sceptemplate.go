package omadm

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"fmt"
	"math/bits"
	"net"
	"strconv"
	"strings"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// CSRTemplate returns what the order wants in a certificate request: the subject with
// all its parts in the order of the text, and extensions for key usage, extended
// key usages and subject alternative names. It can be given to
// [x509.CreateCertificateRequest].
//
// The error is of no exported type. It says which part of the order cannot be
// read.
func (o *SCEPOrder) CSRTemplate() (*x509.CertificateRequest, error) {
	subject, err := parseName(o.Subject)
	if err != nil {
		return nil, fmt.Errorf("the order's subject %.100q: %w", o.Subject, err)
	}
	t := &x509.CertificateRequest{RawSubject: subject}
	usage := byte(o.KeyUsage & 0xA0)
	extensions := []struct {
		id    asn1.ObjectIdentifier
		value any
	}{{asn1.ObjectIdentifier{2, 5, 29, 15}, asn1.BitString{Bytes: []byte{usage}, BitLength: 8 - bits.TrailingZeros8(usage)}}}
	if len(o.EKUs) > 0 {
		var ids []asn1.ObjectIdentifier
		for _, text := range o.EKUs {
			id, err := parseOID(text)
			if err != nil {
				return nil, fmt.Errorf("the order's extended key usage %.60q is not an object identifier", text)
			}
			ids = append(ids, id)
		}
		extensions = append(extensions, struct {
			id    asn1.ObjectIdentifier
			value any
		}{asn1.ObjectIdentifier{2, 5, 29, 37}, ids})
	}
	for _, e := range extensions {
		value, err := asn1.Marshal(e.value)
		if err != nil {
			return nil, err
		}
		t.ExtraExtensions = append(t.ExtraExtensions, pkix.Extension{Id: e.id, Value: value})
	}
	names, err := alternativeNames(o.AlternativeNames)
	if err != nil {
		return nil, fmt.Errorf("the order's alternative names: %w", err)
	}
	if names != nil {
		t.ExtraExtensions = append(t.ExtraExtensions, pkix.Extension{Id: asn1.ObjectIdentifier{2, 5, 29, 17}, Value: names})
	}
	return t, nil
}

// attributes are the object identifiers of a name's parts, by the names that
// Windows has for them, in upper case.
var attributes = map[string]asn1.ObjectIdentifier{
	"CN": {2, 5, 4, 3}, "SN": {2, 5, 4, 4}, "SERIALNUMBER": {2, 5, 4, 5}, "C": {2, 5, 4, 6}, "L": {2, 5, 4, 7}, "S": {2, 5, 4, 8}, "ST": {2, 5, 4, 8},
	"STREET": {2, 5, 4, 9}, "O": {2, 5, 4, 10}, "OU": {2, 5, 4, 11}, "T": {2, 5, 4, 12}, "TITLE": {2, 5, 4, 12}, "G": {2, 5, 4, 42}, "I": {2, 5, 4, 43},
	"E": {1, 2, 840, 113549, 1, 9, 1}, "EMAIL": {1, 2, 840, 113549, 1, 9, 1}, "DC": {0, 9, 2342, 19200300, 100, 1, 25},
	"UID": {0, 9, 2342, 19200300, 100, 1, 1},
}

// parseName returns the DER of an X.500 name in text, such as
// `CN=unit-7,OU="A, B",O=Contoso`. A text without an equals sign is a common name.
func parseName(text string) ([]byte, error) {
	if !strings.Contains(text, "=") {
		text = "CN=" + text
	}
	var name pkix.RDNSequence
	for _, rdn := range splitName(text, ",;\n") {
		var set pkix.RelativeDistinguishedNameSET
		for _, part := range splitName(rdn, "+") {
			key, value, ok := strings.Cut(part, "=")
			id, known := attributes[strings.ToUpper(strings.TrimSpace(key))]
			if !known {
				var err error
				if id, err = parseOID(strings.TrimPrefix(strings.ToUpper(strings.TrimSpace(key)), "OID.")); err != nil {
					ok = false
				}
			}
			if !ok {
				return nil, fmt.Errorf("%.60q is not a part of a name", part)
			}
			set = append(set, pkix.AttributeTypeAndValue{Type: id, Value: unquote(value)})
		}
		if len(set) > 0 {
			name = append(name, set)
		}
	}
	if len(name) == 0 {
		return nil, errors.New("it is empty")
	}
	return asn1.Marshal(name)
}

// splitName splits a text at characters that are neither escaped nor in quotes,
// without empty parts.
func splitName(text, at string) []string {
	var parts []string
	start, quoted := 0, false
	add := func(end int) {
		if part := strings.TrimSpace(text[start:end]); part != "" {
			parts = append(parts, part)
		}
		start = end + 1
	}
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case !quoted && strings.IndexByte(at, c) >= 0:
			add(i)
		}
	}
	add(len(text))
	return parts
}

// unquote returns a value without its quotes and escapes.
func unquote(value string) string {
	value = strings.TrimSpace(value)
	if inner, ok := strings.CutPrefix(value, `"`); ok && strings.HasSuffix(inner, `"`) {
		return strings.ReplaceAll(strings.TrimSuffix(inner, `"`), `""`, `"`)
	}
	var b strings.Builder
	for i := 0; i < len(value); i++ {
		if value[i] == '\\' && i+1 < len(value) {
			i++
		}
		b.WriteByte(value[i])
	}
	return b.String()
}

// parseOID reads an object identifier in dotted form.
func parseOID(text string) (asn1.ObjectIdentifier, error) {
	var id asn1.ObjectIdentifier
	for part := range strings.SplitSeq(text, ".") {
		n, err := strconv.ParseUint(part, 10, 31)
		if err != nil {
			return nil, err
		}
		id = append(id, int(n))
	}
	if _, err := asn1.Marshal(id); err != nil || len(id) > 32 {
		return nil, errors.New("no object identifier")
	}
	return id, nil
}

// alternativeNames returns the DER of the extension for names in the form of an
// order, "type+name;type+name", or nil if there are none. The types are the numbers
// of AlternativeNameType in Windows' certenroll.h.
func alternativeNames(text string) ([]byte, error) {
	var b cryptobyte.Builder
	var failed error
	count := 0
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		for _, part := range split(text, ";") {
			kind, name, _ := strings.Cut(part, "+")
			plain := func(tag cbasn1.Tag, value []byte) {
				b.AddASN1(tag.ContextSpecific(), func(b *cryptobyte.Builder) { b.AddBytes(value) })
			}
			count++
			switch ip := net.ParseIP(name); strings.TrimSpace(kind) {
			case "2":
				plain(1, []byte(name)) // rfc822Name
			case "3":
				plain(2, []byte(name)) // dNSName
			case "7":
				plain(6, []byte(name)) // uniformResourceIdentifier
			case "8":
				if four := ip.To4(); four != nil {
					ip = four
				}
				if ip == nil {
					failed = fmt.Errorf("%.60q is not an IP address", name)
				}
				plain(7, ip)
			case "11": // a user principal name
				b.AddASN1(cbasn1.Tag(0).ContextSpecific().Constructed(), func(b *cryptobyte.Builder) {
					b.AddASN1ObjectIdentifier(asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 311, 20, 2, 3})
					b.AddASN1(cbasn1.Tag(0).ContextSpecific().Constructed(), func(b *cryptobyte.Builder) {
						b.AddASN1(cbasn1.UTF8String, func(b *cryptobyte.Builder) { b.AddBytes([]byte(name)) })
					})
				})
			default:
				failed = fmt.Errorf("type %.20q of %.60q is not supported", kind, name)
			}
		}
	})
	if failed != nil || count == 0 {
		return nil, failed
	}
	return b.Bytes()
}
