package sceptest

import (
	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// indefinite rewrites DER in the form that some encoders produce: constructed
// elements have an indefinite length, and long OCTET STRINGs are in segments.
// The contents of primitive elements stay as they are, and so do certificates,
// whose signatures would not hold otherwise.
func indefinite(der []byte) []byte { return rewrite(der, 0) }

const (
	certificateDepth = 3    // within ContentInfo, [0] and SignedData
	segment          = 1000 // bytes, as Java's encoders use
)

// rewrite does the work of indefinite at one depth of nesting.
func rewrite(der []byte, depth int) []byte {
	var out []byte
	for in := cryptobyte.String(der); !in.Empty(); {
		var element, body cryptobyte.String
		var tag cbasn1.Tag
		if !in.ReadAnyASN1Element(&element, &tag) || !cutHeader(element, &body) {
			return der
		}
		const constructed = 0x20
		switch {
		case depth == certificateDepth && tag == cbasn1.Tag(0).Constructed().ContextSpecific() && isCertificate(body):
			out = append(append(append(out, byte(tag), 0x80), body...), 0, 0)
		case tag&constructed != 0:
			out = append(append(append(out, byte(tag), 0x80), rewrite(body, depth+1)...), 0, 0)
		case tag == cbasn1.OCTET_STRING && len(body) > segment:
			out = append(append(append(out, byte(tag)|constructed, 0x80), segments(body)...), 0, 0)
		default:
			out = append(out, element...)
		}
	}
	return out
}

// cutHeader sets body to the contents of element.
func cutHeader(element cryptobyte.String, body *cryptobyte.String) bool {
	return element.ReadAnyASN1(body, new(cbasn1.Tag))
}

// isCertificate reports whether the body of a [0] is a set of certificates: it
// begins with a SEQUENCE, other bodies do not.
func isCertificate(body cryptobyte.String) bool { return body.PeekASN1Tag(cbasn1.SEQUENCE) }

// segments cuts octets into OCTET STRINGs.
func segments(octets []byte) []byte {
	b := cryptobyte.NewBuilder(nil)
	for len(octets) > 0 {
		n := min(len(octets), segment)
		b.AddASN1OctetString(octets[:n])
		octets = octets[n:]
	}
	out, err := b.Bytes()
	if err != nil {
		return nil
	}
	return out
}
