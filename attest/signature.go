package attest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	"errors"
	"fmt"
)

// A signature is a TPMT_SIGNATURE of RSA or ECDSA.
type signature struct {
	alg, hash uint16
	r, s      []byte // RSA: r alone
}

// parseSignature reads a TPMT_SIGNATURE (TCG Part 2, 11.3.4).
func parseSignature(b []byte) (signature, error) {
	r := newReader(b)
	s := signature{alg: r.u16(), hash: r.u16()}
	switch s.alg {
	case algRSASSA, algRSAPSS:
		s.r = r.sized(512)
	case algECDSA:
		s.r, s.s = r.sized(66), r.sized(66)
	default:
		return signature{}, fmt.Errorf("unsupported signature scheme 0x%04X", s.alg)
	}
	if !r.done() {
		return signature{}, errors.New("malformed TPMT_SIGNATURE")
	}
	return s, nil
}

// verify checks that s is a signature over message by pub, a key that checkKey has
// accepted.
func (s *signature) verify(pub crypto.PublicKey, message []byte) error {
	h := hashOf(s.hash)
	if h == 0 {
		return fmt.Errorf("unsupported signature hash 0x%04X", s.hash)
	}
	sum := appendDigest(make([]byte, 0, 64+maxECDSA), h, message)
	ok := false
	switch k := pub.(type) {
	case *rsa.PublicKey:
		switch s.alg {
		case algRSASSA:
			ok = rsa.VerifyPKCS1v15(k, h, sum, s.r) == nil
		case algRSAPSS:
			ok = rsa.VerifyPSS(k, h, sum, s.r, nil) == nil
		default:
			return errors.New("signature scheme is not one of RSA keys")
		}
	case *ecdsa.PublicKey:
		if s.alg != algECDSA {
			return errors.New("signature scheme is not one of ECC keys")
		}
		ok = ecdsa.VerifyASN1(k, sum, s.asn1(sum[len(sum):]))
	}
	if !ok {
		return errors.New("signature is wrong")
	}
	return nil
}

// maxECDSA limits an ECDSA signature in DER, in bytes.
const maxECDSA = 160

// asn1 returns an ECDSA signature as the DER of SEQUENCE { INTEGER, INTEGER }. It
// uses the capacity of b, which is empty, if that is enough.
func (s *signature) asn1(b []byte) []byte {
	b = append(b, 0, 0, 0) // room for a SEQUENCE with a length in the long form
	b = appendInteger(appendInteger(b, s.r), s.s)
	b[0], b[1], b[2] = 0x30, 0x81, byte(len(b)-3)
	if b[2] < 0x80 {
		b = b[1:]
		b[0], b[1] = 0x30, byte(len(b)-2)
	}
	return b
}

// appendInteger appends the DER of an unsigned integer of at most 66 bytes.
func appendInteger(b, v []byte) []byte {
	for len(v) > 1 && v[0] == 0 {
		v = v[1:]
	}
	pad := len(v) == 0 || v[0]&0x80 != 0
	n := len(v)
	if pad {
		n++
	}
	b = append(b, 0x02, byte(n))
	if pad {
		b = append(b, 0)
	}
	return append(b, v...)
}
