package softtpm

import "crypto/hmac"

// protection returns the keys under which a parent or a credential seed keeps
// something for the object called name (part 1, 22 to 24).
func protection(alg uint16, seed, name []byte, bits int) (symKey, macKey []byte) {
	return kdfA(alg, seed, "STORAGE", name, nil, bits), kdfA(alg, seed, "INTEGRITY", nil, nil, 8*digestSize(alg))
}

// wrap returns the TPM2B_PRIVATE, without size, of s under parent.
func wrap(parent *object, name []byte, s *sensitive) []byte {
	alg := parent.pub.nameAlg
	symKey, macKey := protection(alg, parent.sens.seed, name, int(parent.pub.sym.bits))
	var plain writer
	plain.sized(s.marshal())
	iv := randomBytes(16)
	cfb(symKey, iv, plain.b, false)
	var body writer
	body.sized(iv)
	body.raw(plain.b)
	var out writer
	out.sized(mac(alg, macKey, body.b, name))
	out.raw(body.b)
	return out.b
}

// unwrap undoes wrap.
func unwrap(parent *object, name, blob []byte) (s sensitive, rc code) {
	alg := parent.pub.nameAlg
	symKey, macKey := protection(alg, parent.sens.seed, name, int(parent.pub.sym.bits))
	r := reader{b: blob}
	tag := r.sized(maxDigest)
	if r.err != 0 {
		return s, r.err
	}
	if !hmac.Equal(tag, mac(alg, macKey, r.b, name)) {
		return s, rcIntegrity
	}
	iv := r.sized(16)
	if r.err != 0 || len(iv) != 16 {
		return s, rcSize
	}
	plain := append([]byte(nil), r.b...)
	cfb(symKey, iv, plain, true)
	in := reader{b: plain}
	in.inner(true, func(r *reader) { s = r.sensitive() })
	return s, in.end()
}
