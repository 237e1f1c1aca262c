package wcce

import (
	"crypto/sha1"
	"crypto/x509/pkix"
	"encoding/asn1"
	"fmt"
	"unicode/utf16"

	"golang.org/x/crypto/cryptobyte"
	der "golang.org/x/crypto/cryptobyte/asn1"
)

// A Client describes the machine and program that a request comes from. Empty
// fields are written as empty strings.
type Client struct {
	OSVersion string // ASCII, such as "10.0.19043.2"
	Machine   string // computer name
	User      string // such as `WORKGROUP\<machine>$`
	Process   string // such as "taskhostw.exe"
	Provider  string // key storage provider, such as "Microsoft Platform Crypto Provider"
}

// clientID is the ClientId "default request" of REQUEST_CLIENT_INFO ([MS-WCCE]
// section 2.2.2.7.4).
const clientID = 5

// Attributes returns the attributes 1 to 5 of a request in the order of Windows: OS
// version, SHA-1 of the certificate that signs the SCEP message, client info, KSP
// name, CSP provider. signer is that certificate in DER. The error says that
// OSVersion is not ASCII.
func (c *Client) Attributes(signer []byte) ([]Attribute, error) {
	sum := sha1.Sum(signer)
	provider := bmp(c.Provider)
	out := []Attribute{
		attribute(OIDOSVersion, func(b *cryptobyte.Builder) { addString(b, der.IA5String, []byte(c.OSVersion)) }),
		OctetAttribute(OIDSignerHash, sum[:]),
		attribute(OIDClientInfo, func(b *cryptobyte.Builder) {
			b.AddASN1(der.SEQUENCE, func(b *cryptobyte.Builder) {
				b.AddASN1Int64(clientID)
				for _, s := range []string{c.Machine, c.User, c.Process} {
					addString(b, der.UTF8String, []byte(s))
				}
			})
		}),
		attribute(OIDKSPName, func(b *cryptobyte.Builder) { addString(b, bmpString, provider) }),
		attribute(OIDCSPProvider, func(b *cryptobyte.Builder) {
			b.AddASN1(der.SEQUENCE, func(b *cryptobyte.Builder) {
				b.AddASN1Int64(0)
				addString(b, bmpString, provider)
				b.AddASN1BitString(nil)
			})
		}),
	}
	for i := range len(c.OSVersion) {
		if c.OSVersion[i] >= 0x80 {
			return nil, fmt.Errorf("wcce: request: OS version %q is not ASCII", c.OSVersion)
		}
	}
	return out, nil
}

// bmpString is the tag of BMPString, which cryptobyte does not name.
const bmpString = der.Tag(30)

// bmp encodes s in UTF-16, big-endian, as a BMPString has it.
func bmp(s string) []byte {
	var out []byte
	for _, u := range utf16.Encode([]rune(s)) {
		out = append(out, byte(u>>8), byte(u))
	}
	return out
}

// addString writes a string of the type tag.
func addString(b *cryptobyte.Builder, tag der.Tag, s []byte) {
	b.AddASN1(tag, func(b *cryptobyte.Builder) { b.AddBytes(s) })
}

// attribute returns an attribute whose value f writes. If f fails, the attribute
// has no value, and MarshalCSR refuses it.
func attribute(id asn1.ObjectIdentifier, f func(*cryptobyte.Builder)) Attribute {
	var b cryptobyte.Builder
	f(&b)
	v, err := b.Bytes()
	if err != nil {
		return Attribute{Type: id}
	}
	return Attribute{Type: id, Values: [][]byte{v}}
}

// OctetAttribute returns an attribute whose value is an OCTET STRING with contents,
// such as OIDAttestation with a KAST.
func OctetAttribute(id asn1.ObjectIdentifier, contents []byte) Attribute {
	return attribute(id, func(b *cryptobyte.Builder) { b.AddASN1OctetString(contents) })
}

// EKInfoAttribute returns the attribute OIDEKInfo. contentInfo is a CMS ContentInfo
// in DER with the EnvelopedData of an [EKInfo].
func EKInfoAttribute(contentInfo []byte) Attribute {
	return Attribute{Type: OIDEKInfo, Values: [][]byte{contentInfo}}
}

// ExtensionsAttribute returns the attribute that asks for extensions of the
// certificate, in their order (RFC 2985, section 5.4.2). The error is that of the
// encoding.
func ExtensionsAttribute(exts []pkix.Extension) (Attribute, error) {
	v, err := asn1.Marshal(exts)
	if err != nil {
		return Attribute{}, fmt.Errorf("wcce: extensions: %w", err)
	}
	return Attribute{Type: OIDExtensionRequest, Values: [][]byte{v}}, nil
}

// Extensions returns the extensions that the request asks for. The error wraps
// [ErrFormat] if it asks for none, or they cannot be parsed.
func (c *CSR) Extensions() ([]pkix.Extension, error) {
	v, err := c.Value(OIDExtensionRequest)
	if err != nil {
		return nil, err
	}
	var exts []pkix.Extension
	rest, err := asn1.Unmarshal(v, &exts)
	if err != nil || len(rest) > 0 || len(exts) > maxAttributes {
		return nil, malformed("request", "bad extensions")
	}
	return exts, nil
}

// KeyAffinity returns the extension szOID_ENROLL_KEY_AFFINITY with the value NULL,
// which Windows puts into its requests.
func KeyAffinity() pkix.Extension {
	return pkix.Extension{Id: OIDKeyAffinity, Value: []byte{0x05, 0x00}}
}

// SubjectKeyID returns the extension subjectKeyIdentifier with the [KeyID] of a key.
// spki is the key's SubjectPublicKeyInfo in DER. The error wraps [ErrFormat] if it
// is not one.
func SubjectKeyID(spki []byte) (pkix.Extension, error) {
	id, err := KeyID(spki)
	if err != nil {
		return pkix.Extension{}, err
	}
	var b cryptobyte.Builder
	b.AddASN1OctetString(id)
	v, err := b.Bytes()
	return pkix.Extension{Id: OIDSubjectKeyID, Value: v}, err
}

// KeyID returns the key identifier of RFC 5280, section 4.2.1.2, method 1: the 20
// bytes of the SHA-1 of the bits of the public key. spki is the key's
// SubjectPublicKeyInfo in DER. The error wraps [ErrFormat] if it is not one.
func KeyID(spki []byte) ([]byte, error) {
	var seq, alg cryptobyte.String
	var bits []byte
	s := cryptobyte.String(spki)
	if !s.ReadASN1(&seq, der.SEQUENCE) || !s.Empty() || !seq.ReadASN1Element(&alg, der.SEQUENCE) ||
		!seq.ReadASN1BitStringAsBytes(&bits) || !seq.Empty() {
		return nil, malformed("key", "not a SubjectPublicKeyInfo")
	}
	sum := sha1.Sum(bits)
	return sum[:], nil
}
