package softtpm

import (
	"bytes"
	"crypto/hmac"
	"crypto/rsa"
)

// attestation writes the beginning of a TPMS_ATTEST (part 2, 10.12.12). For keys
// outside the endorsement and platform hierarchies it adds a secret number, different
// for each key, to the counters of the clock and to the firmware version.
func (t *TPM) attestation(tag uint16, signer *object, extra []byte) *writer {
	w := &writer{}
	w.u32(generatedMagic)
	w.u16(tag)
	var qname []byte
	reset, restart, firmware := t.st.Resets, uint32(0), uint64(t.id.Firmware[0])<<32|uint64(t.id.Firmware[1])
	if signer != nil {
		qname = signer.qname
		if signer.hierarchy != rhEndorsement && signer.hierarchy != rhPlatform {
			m := reader{b: kdfA(algSHA256, t.hierarchy(rhOwner).proof, "OBFUSCATE", qname, nil, 128)}
			firmware += uint64(m.u32())<<32 | uint64(m.u32())
			reset += m.u32()
			restart += m.u32()
		}
	} else {
		qname = be32(rhNull)
	}
	w.sized(qname)
	w.sized(extra)
	w.u64(t.clock())
	w.u32(reset)
	w.u32(restart)
	w.u8(1) // safe: the clock never went back
	w.u64(firmware)
	return w
}

// signAttest signs a TPMS_ATTEST and writes both to the response. asked was
// parameter n; signer is nil for an unsigned statement.
func (c *call) signAttest(signer *object, asked scheme, n int, w *writer) code {
	c.out.sized(w.b)
	if signer == nil {
		c.out.u16(algNull)
		return 0
	}
	s, ok := signer.pick(asked)
	if !ok {
		return rcScheme.param(n)
	}
	sig, rc := signer.sign(s, digest(s.hash, w.b), rsa.PSSSaltLengthEqualsHash)
	c.out.raw(sig)
	return rc
}

// checkSigner checks that handle n, if there is an object, signs.
func (c *call) checkSigner(n int) code {
	o := c.obj(n)
	switch {
	case o == nil:
		return 0
	case !o.signs():
		return rcKey.handle(n)
	case o.pub.has(attrX509Sign):
		return rcAttributes.handle(n)
	}
	return 0
}

// certify is TPM2_Certify (part 3, 18.2).
func certify(t *TPM, c *call) code {
	extra := c.in.at(1).sized(maxData)
	asked := c.in.at(2).sigScheme()
	if rc := c.in.end(); rc != 0 {
		return rc
	}
	o, signer := c.obj(1), c.obj(2)
	if rc := c.checkSigner(2); rc != 0 {
		return rc
	}
	if signer != nil {
		if _, ok := signer.pick(asked); !ok {
			return rcScheme.param(2)
		}
	}
	w := t.attestation(stCertify, signer, extra)
	w.sized(o.name)
	w.sized(o.qname)
	return c.signAttest(signer, asked, 2, w)
}

// certifyCreation is TPM2_CertifyCreation (part 3, 18.3).
func certifyCreation(t *TPM, c *call) code {
	in := &c.in
	extra := in.at(1).sized(maxData)
	hash := in.at(2).sized(maxDigest)
	asked := in.at(3).sigScheme()
	in.at(4).tag(tkCreation)
	root := in.u32()
	if in.err == 0 && !isHierarchy(root) {
		in.fail(rcValue)
	}
	proof := in.sized(maxDigest)
	if rc := in.end(); rc != 0 {
		return rc
	}
	signer, o := c.obj(1), c.obj(2)
	if rc := c.checkSigner(1); rc != 0 {
		return rc
	}
	if signer != nil {
		if _, ok := signer.pick(asked); !ok {
			return rcScheme.param(3)
		}
	}
	if !hmac.Equal(proof, t.ticket(tkCreation, root, o.name, hash)[8:]) {
		return rcTicket.param(4)
	}
	w := t.attestation(stCreation, signer, extra)
	w.sized(o.name)
	w.sized(hash)
	return c.signAttest(signer, asked, 3, w)
}

// quote is TPM2_Quote (part 3, 18.4).
func quote(t *TPM, c *call) code {
	in := &c.in
	extra := in.at(1).sized(maxData)
	asked := in.at(2).sigScheme()
	sel := in.at(3).pcrSelection()
	if rc := in.end(); rc != 0 {
		return rc
	}
	signer := c.obj(1)
	if rc := c.checkSigner(1); rc != 0 {
		return rc
	}
	if signer == nil {
		return rcKey.handle(1)
	}
	s, ok := signer.pick(asked)
	if !ok {
		return rcScheme.param(2)
	}
	w := t.attestation(stQuote, signer, extra)
	w.pcrSelection(sel)
	w.sized(t.pcrDigest(s.hash, sel))
	return c.signAttest(signer, asked, 2, w)
}

// A pcrSelection is a TPMS_PCR_SELECTION.
type pcrSelection struct {
	bank uint16
	bits []byte
}

// pcrSelection reads a TPML_PCR_SELECTION.
func (r *reader) pcrSelection() (sel []pcrSelection) {
	n := r.u32()
	if r.err == 0 && n > uint32(len(hashes)) {
		r.fail(rcSize)
	}
	for range n {
		s := pcrSelection{bank: r.hashAlg(false)}
		size := int(r.u8())
		if r.err == 0 && size != pcrCount/8 {
			r.fail(rcValue)
		}
		s.bits = append([]byte(nil), r.take(size)...)
		if r.err != 0 {
			return nil
		}
		sel = append(sel, s)
	}
	return sel
}

func (w *writer) pcrSelection(sel []pcrSelection) {
	w.u32(uint32(len(sel)))
	for _, s := range sel {
		w.u16(s.bank)
		w.u8(uint8(len(s.bits)))
		w.raw(s.bits)
	}
}

// resetPCRs sets the PCRs to their values at start: the dynamic ones to ones.
func (t *TPM) resetPCRs() {
	t.pcr = map[uint16][][]byte{}
	for _, alg := range []uint16{algSHA1, algSHA256, algSHA384} {
		bank := make([][]byte, pcrCount)
		for i := range bank {
			bank[i] = make([]byte, digestSize(alg))
			if i >= 17 && i <= 22 {
				bank[i] = bytes.Repeat([]byte{0xFF}, digestSize(alg))
			}
		}
		t.pcr[alg] = bank
	}
}

// each calls f for the selected PCRs that exist and clears the others in sel.
func (t *TPM) each(sel []pcrSelection, f func(s *pcrSelection, i int, value []byte)) {
	for k := range sel {
		s := &sel[k]
		bank := t.pcr[s.bank]
		for i := range pcrCount {
			if s.bits[i/8]&(1<<(i%8)) == 0 {
				continue
			}
			if bank == nil {
				s.bits[i/8] &^= 1 << (i % 8)
				continue
			}
			f(s, i, bank[i])
		}
	}
}

// pcrDigest returns the digest over the selected PCRs; sel loses those that do
// not exist.
func (t *TPM) pcrDigest(alg uint16, sel []pcrSelection) []byte {
	var parts [][]byte
	t.each(sel, func(_ *pcrSelection, _ int, v []byte) { parts = append(parts, v) })
	return digest(alg, parts...)
}

// pcrRead is TPM2_PCR_Read (part 3, 22.4): up to eight values a call.
func pcrRead(t *TPM, c *call) code {
	sel := c.in.at(1).pcrSelection()
	if rc := c.in.end(); rc != 0 {
		return rc
	}
	var values [][]byte
	t.each(sel, func(s *pcrSelection, i int, v []byte) {
		if len(values) == 8 {
			s.bits[i/8] &^= 1 << (i % 8)
			return
		}
		values = append(values, v)
	})
	c.out.u32(t.pcrCount)
	c.out.pcrSelection(sel)
	c.out.u32(uint32(len(values)))
	for _, v := range values {
		c.out.sized(v)
	}
	return 0
}

// pcrExtend is TPM2_PCR_Extend (part 3, 22.2).
func pcrExtend(t *TPM, c *call) code {
	in := &c.in
	n := in.at(1).u32()
	if in.err == 0 && n > uint32(len(hashes)) {
		in.fail(rcSize)
	}
	values := map[uint16][]byte{}
	for i := uint32(0); i < n && in.err == 0; i++ {
		alg := in.hashAlg(false)
		values[alg] = in.take(digestSize(alg))
	}
	if rc := in.end(); rc != 0 {
		return rc
	}
	i := c.handle(1)
	if i == rhNull {
		return 0
	}
	if i >= 17 && i <= 22 {
		return code(0x907) // TPM_RC_LOCALITY: dynamic, not from locality 0
	}
	for alg, v := range values {
		if bank := t.pcr[alg]; bank != nil {
			bank[i] = digest(alg, bank[i], v)
			t.pcrCount++
		}
	}
	return 0
}
