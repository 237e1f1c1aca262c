package sceptest

import (
	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// indefinite rewrites DER as some encoders like it: constructed elements have
// an indefinite length, and long OCTET STRINGs come in segments. What is
// within a primitive is left alone, and so are certificates, which are signed
// as they are.
func indefinite(der []byte) []byte { return rewrite(der, 0) }

const (
	certificateDepth = 3    // within ContentInfo, [0] and SignedData
	segment          = 1000 // bytes, as Java has them
)

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

// cutHeader sets body to what is in element.
func cutHeader(element cryptobyte.String, body *cryptobyte.String) bool {
	return element.ReadAnyASN1(body, new(cbasn1.Tag))
}

// isCertificate tells the set of certificates from the other things that are
// [0]: it begins with a SEQUENCE.
func isCertificate(body cryptobyte.String) bool { return body.PeekASN1Tag(cbasn1.SEQUENCE) }

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
