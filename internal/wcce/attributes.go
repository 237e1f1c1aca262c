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

// A Client is what a request tells of the program and machine it comes from.
type Client struct {
	OSVersion string // ASCII, such as "10.0.19043.2"
	Machine   string // computer name
	User      string // such as `WORKGROUP\<machine>$`
	Process   string // such as "taskhostw.exe"
	Provider  string // key storage provider, BMP characters only
}

// clientID is the client of REQUEST_CLIENT_INFO: "default request"
// ([MS-WCCE] 2.2.2.7.4).
const clientID = 5

// Attributes returns the attributes 1 to 5 of a request in Windows's order: OS
// version, hash of the certificate that signs the SCEP message (DER), client
// info, KSP name, CSP provider.
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

// bmp encodes s in UTF-16, big-endian.
func bmp(s string) []byte {
	var out []byte
	for _, u := range utf16.Encode([]rune(s)) {
		out = append(out, byte(u>>8), byte(u))
	}
	return out
}

func addString(b *cryptobyte.Builder, tag der.Tag, s []byte) {
	b.AddASN1(tag, func(b *cryptobyte.Builder) { b.AddBytes(s) })
}

// attribute returns an attribute with one value, or with none if f fails.
// MarshalCSR refuses the latter.
func attribute(id asn1.ObjectIdentifier, f func(*cryptobyte.Builder)) Attribute {
	var b cryptobyte.Builder
	f(&b)
	v, err := b.Bytes()
	if err != nil {
		return Attribute{Type: id}
	}
	return Attribute{Type: id, Values: [][]byte{v}}
}

// OctetAttribute returns an attribute whose value is an OCTET STRING, such as
// OIDAttestation with a KAST.
func OctetAttribute(id asn1.ObjectIdentifier, contents []byte) Attribute {
	return attribute(id, func(b *cryptobyte.Builder) { b.AddASN1OctetString(contents) })
}

// EKInfoAttribute returns the attribute OIDEKInfo. contentInfo is the DER of a
// CMS ContentInfo with EnvelopedData that holds an [EKInfo].
func EKInfoAttribute(contentInfo []byte) Attribute {
	return Attribute{Type: OIDEKInfo, Values: [][]byte{contentInfo}}
}

// ExtensionsAttribute returns the attribute that asks for extensions, in
// their order (RFC 2985, section 5.4.2).
func ExtensionsAttribute(exts []pkix.Extension) (Attribute, error) {
	v, err := asn1.Marshal(exts)
	if err != nil {
		return Attribute{}, fmt.Errorf("wcce: extensions: %w", err)
	}
	return Attribute{Type: OIDExtensionRequest, Values: [][]byte{v}}, nil
}

// Extensions returns the extensions the request asks for.
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

// KeyAffinity returns the extension that asks for a key's affinity.
func KeyAffinity() pkix.Extension {
	return pkix.Extension{Id: OIDKeyAffinity, Value: []byte{0x05, 0x00}}
}

// SubjectKeyID returns the extension with the key identifier of RFC 5280,
// section 4.2.1.2, method 1: the SHA-1 of the public key's bits, 20 bytes.
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

// KeyID returns the SHA-1 of the bits of the public key in a
// SubjectPublicKeyInfo.
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
