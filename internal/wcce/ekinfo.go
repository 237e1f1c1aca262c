package wcce

import (
	"fmt"

	"golang.org/x/crypto/cryptobyte"
	der "golang.org/x/crypto/cryptobyte/asn1"
)

// maxEKCertificates is the limit of an EK_INFO: the manufacturer's certificate and
// up to three more.
const maxEKCertificates = 4

// An EKInfo is the plaintext of EK_INFO ([MS-WCCE] section 2.2.2.7.13): an
// endorsement key and its certificates.
type EKInfo struct {
	PublicKey    []byte   // SubjectPublicKeyInfo of the endorsement key, DER
	Certificates [][]byte // each in DER, the manufacturer's first; empty if the key has none
}

// Marshal returns e in DER. The error says that there are more than four
// certificates.
func (e *EKInfo) Marshal() ([]byte, error) {
	if len(e.Certificates) > maxEKCertificates {
		return nil, fmt.Errorf("wcce: EK_INFO: %d certificates, at most %d", len(e.Certificates), maxEKCertificates)
	}
	var b cryptobyte.Builder
	b.AddASN1(der.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddBytes(e.PublicKey)
		if len(e.Certificates) == 0 {
			b.AddASN1NULL()
		}
		for _, c := range e.Certificates {
			b.AddBytes(c)
		}
	})
	out, err := b.Bytes()
	if err != nil {
		return nil, fmt.Errorf("wcce: EK_INFO: %w", err)
	}
	return out, nil
}

// ParseEKInfo reads the plaintext of an EK_INFO. It does not parse the key and the
// certificates. The error wraps [ErrFormat].
func ParseEKInfo(in []byte) (*EKInfo, error) {
	const op = "EK_INFO"
	var seq, key cryptobyte.String
	s := cryptobyte.String(in)
	if len(in) > maxSize || !s.ReadASN1(&seq, der.SEQUENCE) || !s.Empty() ||
		!seq.ReadASN1Element(&key, der.SEQUENCE) || seq.Empty() {
		return nil, malformed(op, "not a key and a certificate")
	}
	e := &EKInfo{PublicKey: key}
	if seq.PeekASN1Tag(der.NULL) {
		var null cryptobyte.String
		if !seq.ReadASN1(&null, der.NULL) || len(null) != 0 {
			return nil, malformed(op, "bad NULL")
		}
		if !seq.Empty() {
			return nil, malformed(op, "certificates after NULL")
		}
		return e, nil
	}
	for !seq.Empty() {
		var c cryptobyte.String
		if len(e.Certificates) == maxEKCertificates || !seq.ReadASN1Element(&c, der.SEQUENCE) {
			return nil, malformed(op, "bad certificate %d", len(e.Certificates)+1)
		}
		e.Certificates = append(e.Certificates, c)
	}
	return e, nil
}
