package softtpm

// A symDef is a TPMT_SYM_DEF or TPMT_SYM_DEF_OBJECT: AES with bits and mode, or
// none.
type symDef struct{ alg, bits, mode uint16 }

// A scheme is a TPMT_RSA_SCHEME, _ECC_SCHEME, _KDF_SCHEME, _SIG_SCHEME or
// _RSA_DECRYPT.
type scheme struct{ alg, hash uint16 }

// A public is a TPMT_PUBLIC of an RSA or ECC key.
type public struct {
	typ, nameAlg uint16
	attrs        uint32
	policy       []byte
	sym          symDef
	scheme       scheme
	bits         uint16 // RSA
	exponent     uint32 // RSA; 0 stands for 65537
	n            []byte // RSA unique
	curve        uint16 // ECC
	kdf          scheme // ECC
	x, y         []byte // ECC unique
}

// has reports whether all the attributes are set.
func (p *public) has(attrs uint32) bool { return p.attrs&attrs == attrs }

// parent reports whether p is a key that others can be under.
func (p *public) parent() bool {
	return p.has(attrRestricted|attrDecrypt) && p.nameAlg != algNull
}

// tag reads the tag of a ticket: another value that is a TPM_ST is TPM_RC_TAG.
func (r *reader) tag(want uint16) {
	got := r.u16()
	switch {
	case r.err != 0 || got == want:
	case got == stRspCommand, got >= 0x8000 && got <= 0x8002, got >= 0x8014 && got <= 0x801A, got == 0x801C,
		got >= 0x8021 && got <= 0x8025, got == 0x8029:
		r.fail(rcTag)
	default:
		r.fail(rcValue)
	}
}

// hashAlg reads a TPMI_ALG_HASH.
func (r *reader) hashAlg(null bool) uint16 {
	a := r.u16()
	if r.err == 0 && hashOf(a) == 0 && (!null || a != algNull) {
		r.fail(rcHash)
	}
	return a
}

// symDef reads a TPMT_SYM_DEF or a TPMT_SYM_DEF_OBJECT.
func (r *reader) symDef() (s symDef) {
	s.alg = r.u16()
	switch {
	case r.err != 0 || s.alg == algNull:
	case s.alg == algAES:
		if s.bits = r.u16(); r.err == 0 && s.bits != 128 && s.bits != 256 {
			r.fail(rcValue)
		}
		if s.mode = r.u16(); r.err == 0 && s.mode != algCFB {
			r.fail(rcMode)
		}
	default:
		r.fail(rcSymmetric)
	}
	return s
}

// scheme reads a scheme out of those allowed; bad is the code of others.
func (r *reader) scheme(bad code, allowed ...uint16) (s scheme) {
	s.alg = r.u16()
	if r.err != 0 || s.alg == algNull {
		return s
	}
	for _, a := range allowed {
		if a != s.alg {
			continue
		}
		if a != algRSAES {
			s.hash = r.hashAlg(false)
		}
		return s
	}
	r.fail(bad)
	return s
}

// sigScheme reads a TPMT_SIG_SCHEME.
func (r *reader) sigScheme() scheme {
	return r.scheme(rcScheme, algRSASSA, algRSAPSS, algECDSA)
}

// public reads a TPMT_PUBLIC.
func (r *reader) public(nullName bool) (p public) {
	p.typ = r.u16()
	if r.err == 0 && p.typ != algRSA && p.typ != algECC {
		r.fail(rcType)
	}
	p.nameAlg = r.hashAlg(nullName)
	p.attrs = r.u32()
	if p.attrs&attrReserved != 0 {
		r.fail(rcReservedBits)
	}
	p.policy = r.sized(maxDigest)
	p.sym = r.symDef()
	if p.typ == algRSA {
		p.scheme = r.scheme(rcValue, algRSASSA, algRSAPSS, algRSAES, algOAEP)
		p.bits = r.u16()
		if r.err == 0 && p.bits != 2048 && p.bits != 3072 {
			r.fail(rcValue)
		}
		p.exponent = r.u32()
		p.n = r.sized(maxRSABytes)
		return p
	}
	p.scheme = r.scheme(rcScheme, algECDSA, algECDH)
	p.curve = r.u16()
	if r.err == 0 && p.curve != curveP256 && p.curve != curveP384 {
		r.fail(rcCurve)
	}
	p.kdf = r.scheme(rcKDF, algMGF1, algKDF1A, algKDF1)
	p.x = r.sized(maxECCBytes)
	p.y = r.sized(maxECCBytes)
	return p
}

func (w *writer) symDef(s symDef) {
	w.u16(s.alg)
	if s.alg == algAES {
		w.u16(s.bits)
		w.u16(s.mode)
	}
}

func (w *writer) scheme(s scheme) {
	w.u16(s.alg)
	if s.alg != algNull && s.alg != algRSAES {
		w.u16(s.hash)
	}
}

// marshal returns the TPMT_PUBLIC.
func (p *public) marshal() []byte {
	var w writer
	w.u16(p.typ)
	w.u16(p.nameAlg)
	w.u32(p.attrs)
	w.sized(p.policy)
	w.symDef(p.sym)
	w.scheme(p.scheme)
	if p.typ == algRSA {
		w.u16(p.bits)
		w.u32(p.exponent)
		w.sized(p.n)
		return w.b
	}
	w.u16(p.curve)
	w.scheme(p.kdf)
	w.sized(p.x)
	w.sized(p.y)
	return w.b
}

// name returns the TPM2B_NAME without size; empty if there is no name
// algorithm.
func (p *public) name() []byte {
	if p.nameAlg == algNull {
		return nil
	}
	return append(be16(p.nameAlg), digest(p.nameAlg, p.marshal())...)
}
