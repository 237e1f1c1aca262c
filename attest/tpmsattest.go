package attest

import (
	"bytes"
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

// An attested has the fields of a TPMS_ATTEST that a verifier compares.
type attested struct {
	typ       uint16
	extraData []byte
	clock     ClockInfo
	name      []byte // certify, creation: name of the key
	digest    []byte // creation: hash of the creation data; quote: hash of the PCRs
	bank      uint16 // quote: hash algorithm of its one bank
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
	a.clock = readClockInfo(&r)
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
		return attested{}, fmt.Errorf("statement is of type 0x%04X", a.typ)
	}
	if !r.done() {
		return attested{}, errors.New("malformed TPMS_ATTEST")
	}
	return a, nil
}

// of checks the type and the nonce.
func (a *attested) of(typ uint16, nonce []byte) error {
	switch {
	case a.typ != typ:
		return fmt.Errorf("statement is %s, not %s", kindOfAttest(a.typ), kindOfAttest(typ))
	case subtle.ConstantTimeCompare(a.extraData, nonce) != 1:
		return errors.New("statement was made for another nonce")
	}
	return nil
}

// kindOfAttest returns what a TPM_ST_ATTEST stands for.
func kindOfAttest(typ uint16) string {
	switch typ {
	case attestCertify:
		return "a certification"
	case attestCreation:
		return "a creation statement"
	case attestQuote:
		return "a quote"
	}
	return fmt.Sprintf("of type 0x%04X", typ)
}

// about checks that a certification, or a creation statement if creation is true, is
// for the nonce and about the key with the name.
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

// created checks that a creation statement about the key with area k is about the
// creation data.
func (a *attested) created(k *area, data []byte) error {
	if err := checkCreation(data); err != nil {
		return err
	}
	if !bytes.Equal(a.digest, appendDigest(make([]byte, 0, 64), hashOf(k.nameAlg), data)) {
		return errors.New("statement is about other creation data")
	}
	return nil
}

// checkCreation checks the form of a TPMS_CREATION_DATA (TCG Part 2, 15.1).
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
