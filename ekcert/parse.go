package ekcert

import (
	"bytes"
	"crypto/x509"
	"encoding/asn1"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"

	"github.com/whiteglove/whiteglove/internal/cms"
	"github.com/whiteglove/whiteglove/internal/plain"
)

const (
	maxSize         = 64 << 10 // bytes of Parse's input, and of a chain in NV memory
	maxCertificates = 16       // in one input
)

// Parse reads a certificate in one of the forms in which TPMs and their makers provide
// it:
//
//   - DER; padding (any one byte, repeated), further certificates or other data may
//     follow, and the header of older TPMs, 5 or 7 bytes, may precede it
//   - PEM, also on one line, between other text, or of the type TRUSTED CERTIFICATE
//   - the base64 of DER alone
//   - PKCS #7, a .p7b file
//   - the JSON answer of Intel's service
//   - the value Blob of the Windows registry
//
// The first certificate is that of the endorsement key; others become its Issuers.
// Fields of the TCG profile that cannot be read are left empty; [Client.Verify]
// reports them. The result does not share memory with b, and its Raw has the DER of
// the certificate alone. Input may have at most 64 KiB and 16 certificates.
//
// A serial number with superfluous leading bytes is read, although it is not DER and
// [x509.ParseCertificate] refuses it: read Raw of such a certificate with Parse.
//
// The error is an [*Error]. It wraps [ErrMalformed], and also [ErrNegativeSerial] if
// that is the reason.
func Parse(b []byte) (*Certificate, error) {
	cert, err := parse(b)
	if err != nil {
		return nil, &Error{Op: "parse", Err: err}
	}
	return cert, nil
}

func parse(b []byte) (*Certificate, error) {
	if len(b) > maxSize {
		return nil, fmt.Errorf("%w: %d bytes are too many", ErrMalformed, len(b))
	}
	ders, trailing, err := split(b)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	x, err := parseDER(ders[0])
	if err != nil {
		return nil, err
	}
	cert := newCertificate(x)
	cert.trailing = trailing
	for i, der := range ders[1:] {
		issuer, err := parseCertificate(der)
		if err != nil {
			return nil, fmt.Errorf("%w: certificate %d: %w", ErrMalformed, i+2, err)
		}
		cert.Issuers = append(cert.Issuers, issuer)
	}
	return cert, nil
}

// newCertificate adds the fields of the TCG profile that can be read.
func newCertificate(x *x509.Certificate) *Certificate {
	f, _ := readFields(x) // Verify reports the error as a finding
	return &Certificate{
		Certificate:  x,
		Manufacturer: f.manufacturer, Model: f.model, Version: f.version,
		Family: f.family, Level: f.level, Revision: f.revision,
	}
}

// split recognizes the form of b and returns the DER of its certificates, at least one,
// and how many bytes of other data follow them.
func split(b []byte) (ders [][]byte, trailing int, err error) {
	switch trimmed := bytes.TrimSpace(b); {
	case len(b) == 0:
		return nil, 0, plain.Because(errBlank, "it is empty")
	case isFill(b):
		if len(b) == 0 {
			return nil, 0, errBlank
		}
		return nil, 0, fmt.Errorf("%w: all %d bytes are %02x", errBlank, len(b), b[:min(len(b), 1)])
	case bytes.HasPrefix(trimmed, []byte("{")):
		return splitJSON(trimmed)
	case isBag(b):
		ders, err = splitBag(b)
		return ders, 0, err
	case isRegistryBlob(b):
		return splitRegistry(b)
	case !isDER(b) && bytes.Contains(trimmed, []byte(pemBegin)):
		ders, err = splitPEM(string(trimmed))
		return ders, 0, err
	default:
		if der := fromBase64(string(trimmed)); isDER(der) {
			return splitDER(der)
		}
	}
	return splitDER(stripHeader(b))
}

// errBlank says that there is nothing but padding.
var errBlank = errors.New("it is blank")

// isDER reports whether b begins with a SEQUENCE.
func isDER(b []byte) bool { return len(b) > 0 && b[0] == 0x30 }

// isBag reports whether b begins like a PKCS #7 SignedData: with a SEQUENCE that begins
// with its object identifier.
func isBag(b []byte) bool {
	in, bag := cryptobyte.String(b), cryptobyte.String(nil)
	var id asn1.ObjectIdentifier
	return in.ReadASN1(&bag, cbasn1.SEQUENCE) && bag.ReadASN1ObjectIdentifier(&id) && id.Equal(oidSignedData)
}

// splitBag returns the certificates in a .p7b file.
func splitBag(b []byte) ([][]byte, error) {
	certs, _, err := cms.ParseBag(b)
	switch {
	case err != nil:
		return nil, err
	case len(certs) == 0:
		return nil, errors.New("no certificate in PKCS #7")
	case len(certs) > maxCertificates:
		return nil, errors.New("too many certificates")
	}
	ders := make([][]byte, len(certs))
	for i, cert := range certs {
		ders[i] = cert.Raw
	}
	return ders, nil
}

// splitJSON reads the JSON of Intel's service, in which the padding of base64 is
// percent-encoded.
func splitJSON(b []byte) ([][]byte, int, error) {
	var answer struct {
		Certificate string `json:"certificate"`
	}
	if err := json.Unmarshal(b, &answer); err != nil {
		return nil, 0, err
	}
	text := strings.NewReplacer("%3D", "", "%3d", "", "=", "").Replace(answer.Certificate)
	der, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil {
		return nil, 0, err
	}
	return splitDER(der)
}

// stripHeader removes the header of a TCG_PCCLIENT_STORED_CERT, 10 01 00 and a 16-bit
// length, and the tag 10 02 of a TCG_FULL_CERT that may follow.
func stripHeader(b []byte) []byte {
	if len(b) < 5 || !bytes.HasPrefix(b, []byte{0x10, 0x01, 0x00}) {
		return b
	}
	size := int(binary.BigEndian.Uint16(b[3:]))
	body := b[5:]
	return bytes.TrimPrefix(body[:min(size, len(body))], []byte{0x10, 0x02})
}

// splitDER splits certificates by their outer length. It also returns the length of
// what follows the last, unless that is padding, one byte repeated.
func splitDER(b []byte) (ders [][]byte, trailing int, err error) {
	rest := cryptobyte.String(b)
	for rest.PeekASN1Tag(cbasn1.SEQUENCE) {
		after := rest
		var der cryptobyte.String
		if !after.ReadASN1Element(&der, cbasn1.SEQUENCE) {
			if len(ders) > 0 {
				break // the padding is 30, or it is other data
			}
			return nil, 0, errors.New("certificate is truncated or not DER")
		}
		if len(ders) > 0 && !looksLikeCertificate(der) {
			break
		}
		if len(ders) == maxCertificates {
			return nil, 0, errors.New("too many certificates")
		}
		ders, rest = append(ders, der), after
	}
	if ders == nil {
		return nil, 0, errors.New("neither DER nor PEM nor JSON")
	}
	if !isFill(rest) {
		trailing = len(rest)
	}
	return ders, trailing, nil
}

// looksLikeCertificate reports whether der is a SEQUENCE of a SEQUENCE, a SEQUENCE and
// a BIT STRING.
func looksLikeCertificate(der cryptobyte.String) bool {
	var cert cryptobyte.String
	return der.ReadASN1(&cert, cbasn1.SEQUENCE) && cert.SkipASN1(cbasn1.SEQUENCE) &&
		cert.SkipASN1(cbasn1.SEQUENCE) && cert.SkipASN1(cbasn1.BIT_STRING) && cert.Empty()
}

// isFill reports whether all bytes of b are the same.
func isFill(b []byte) bool {
	return len(b) == 0 || bytes.Count(b, b[:1]) == len(b)
}

// parseDER parses one certificate. Its error wraps ErrMalformed, and ErrNegativeSerial
// if that is the reason.
func parseDER(der []byte) (*x509.Certificate, error) {
	x, err := parseCertificate(der)
	if err == nil {
		return x, nil
	}
	if n := serialNumber(der); len(n) > 0 && n[0]&0x80 != 0 {
		err = ErrNegativeSerial
	} else if isAttributeCertificate(der) {
		err = errAttribute
	}
	return nil, fmt.Errorf("%w: %w", ErrMalformed, err)
}
