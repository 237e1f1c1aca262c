package attest

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/subtle"
	"errors"
	"fmt"
)

const (
	magicGenerated = 0xFF544347 // TPM_GENERATED_VALUE
	attestCertify  = 0x8017     // TPM_ST_ATTEST_CERTIFY
	attestQuote    = 0x8018     // TPM_ST_ATTEST_QUOTE
	attestCreation = 0x801A     // TPM_ST_ATTEST_CREATION
)

// An attested is the part of a TPMS_ATTEST that a verifier compares.
type attested struct {
	typ       uint16
	extraData []byte
	moment    Moment
	name      []byte // of the key it is about
	digest    []byte // creation: hash of the creation data; quote: of the PCRs
	bank      uint16 // quote: hash of the one bank it selects from
	pcrs      uint32 // quote: the PCRs, by bit
}

// parseAttest reads a TPMS_ATTEST of type certify, creation or quote (TCG Part 2,
// 10.12.12).
func parseAttest(b []byte) (attested, error) {
	r := newReader(b)
	if r.u32() != magicGenerated {
		return attested{}, errors.New("statement was not made by a TPM")
	}
	a := attested{typ: r.u16()}
	r.sized(66) // qualified name of the signer
	a.extraData = r.sized(66)
	a.moment = readMoment(&r)
	switch a.typ {
	case attestCertify:
		a.name = r.sized(66)
		r.sized(66) // qualified name
	case attestCreation:
		a.name = r.sized(66)
		a.digest = r.sized(64)
	case attestQuote:
		if r.u32() != 1 { // of TPML_PCR_SELECTION
			return attested{}, errors.New("statement is not about one PCR bank")
		}
		a.bank = r.u16()
		size := int(r.u8())
		if size > 4 {
			r.bad = true
		}
		for i, b := range r.take(size) {
			a.pcrs |= uint32(b) << (8 * i)
		}
		a.digest = r.sized(64)
	default:
		return attested{}, fmt.Errorf("statement is of type %#x", a.typ)
	}
	if !r.done() {
		return attested{}, errors.New("malformed TPMS_ATTEST")
	}
	return a, nil
}

// of checks type and nonce.
func (a *attested) of(typ uint16, nonce []byte) error {
	switch {
	case a.typ != typ:
		return fmt.Errorf("statement is of type %#x, not %#x", a.typ, typ)
	case subtle.ConstantTimeCompare(a.extraData, nonce) != 1:
		return errors.New("statement was made for another nonce")
	}
	return nil
}

// about checks type, nonce and name.
func (a *attested) about(name, nonce []byte, creation bool) error {
	want := uint16(attestCertify)
	if creation {
		want = attestCreation
	}
	if err := a.of(want, nonce); err != nil {
		return err
	}
	if subtle.ConstantTimeCompare(a.name, name) != 1 {
		return errors.New("statement is about another key")
	}
	return nil
}

// created checks the creation data of the key with area k.
func (a *attested) created(k *area, data []byte) error {
	if err := checkCreation(data); err != nil {
		return err
	}
	if !bytes.Equal(a.digest, appendDigest(make([]byte, 0, 64), hashOf(k.nameAlg), data)) {
		return errors.New("statement is about other creation data")
	}
	return nil
}

// checkCreation reads a TPMS_CREATION_DATA (TCG Part 2, 15.1).
func checkCreation(b []byte) error {
	r := newReader(b)
	n := r.u32()
	if n > 16 {
		r.bad = true
	}
	for range min(n, 16) { // TPML_PCR_SELECTION
		r.u16()
		size := int(r.u8())
		if size > 4 {
			r.bad = true
		}
		r.take(size)
	}
	r.sized(64) // PCR digest
	r.u8()      // locality
	r.u16()     // parent's name algorithm
	r.sized(66) // parent's name
	r.sized(66) // parent's qualified name
	r.sized(66) // outside info
	if !r.done() {
		return errors.New("malformed TPMS_CREATION_DATA")
	}
	return nil
}

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
		return signature{}, fmt.Errorf("unsupported signature scheme %#x", s.alg)
	}
	if !r.done() {
		return signature{}, errors.New("malformed TPMT_SIGNATURE")
	}
	return s, nil
}

// verify checks s over message, with a key that checkKey has passed.
func (s *signature) verify(pub crypto.PublicKey, message []byte) error {
	h := hashOf(s.hash)
	if h == 0 {
		return fmt.Errorf("unsupported signature hash %#x", s.hash)
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

// maxECDSA is above what an ECDSA signature has in DER.
const maxECDSA = 160

// asn1 returns an ECDSA signature as the DER of SEQUENCE { INTEGER, INTEGER },
// in the space behind the empty b if that is enough.
func (s *signature) asn1(b []byte) []byte {
	b = append(b, 0, 0, 0) // SEQUENCE in the long form, in case
	b = appendInteger(appendInteger(b, s.r), s.s)
	b[0], b[1], b[2] = 0x30, 0x81, byte(len(b)-3)
	if b[2] < 0x80 {
		b = b[1:]
		b[0], b[1] = 0x30, byte(len(b)-2)
	}
	return b
}

// appendInteger appends the DER of an unsigned number of at most 66 bytes.
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
