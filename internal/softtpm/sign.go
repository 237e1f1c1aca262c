package softtpm

import (
	"crypto/ecdsa"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"encoding/asn1"
	"math/big"
)

// pick returns the scheme that key o and the caller agree on.
func (o *object) pick(asked scheme) (scheme, bool) {
	s := o.pub.scheme
	switch {
	case s.alg == algNull || o.pub.has(attrSign|attrDecrypt):
		s = asked
	case asked.alg != algNull && asked != s:
		return s, false
	}
	if o.pub.typ == algRSA {
		return s, s.alg == algRSASSA || s.alg == algRSAPSS
	}
	return s, s.alg == algECDSA
}

// sign signs a digest of the scheme's hash, with PSS with a salt of the given
// length as package crypto/rsa has it; it returns a TPMT_SIGNATURE.
func (o *object) sign(s scheme, d []byte, salt int) ([]byte, code) {
	var w writer
	w.u16(s.alg)
	w.u16(s.hash)
	if o.pub.typ == algECC {
		return o.signECC(&w, d)
	}
	var sig []byte
	var err error
	if h := hashOf(s.hash); s.alg == algRSAPSS {
		sig, err = rsa.SignPSS(rand.Reader, o.rsaKey, h, d, &rsa.PSSOptions{SaltLength: salt})
	} else {
		sig, err = rsa.SignPKCS1v15(nil, o.rsaKey, h, d)
	}
	if err != nil {
		return nil, rcFailure
	}
	w.sized(sig)
	return w.b, 0
}

func (o *object) signECC(w *writer, d []byte) ([]byte, code) {
	der, err := ecdsa.SignASN1(rand.Reader, o.ecKey, d)
	if err != nil {
		return nil, rcFailure
	}
	var rs struct{ R, S *big.Int }
	if _, err := asn1.Unmarshal(der, &rs); err != nil {
		return nil, rcFailure
	}
	n := curveSize(o.pub.curve)
	w.sized(rs.R.FillBytes(make([]byte, n)))
	w.sized(rs.S.FillBytes(make([]byte, n)))
	return w.b, 0
}

// sign is TPM2_Sign (part 3, 20.2).
func sign(t *TPM, c *call) code {
	in := &c.in
	d := in.at(1).sized(maxDigest)
	asked := in.at(2).sigScheme()
	in.at(3).tag(tkHashCheck)
	root := in.u32()
	if in.err == 0 && !isHierarchy(root) {
		in.fail(rcValue)
	}
	proof := in.sized(maxDigest)
	if rc := in.end(); rc != 0 {
		return rc
	}
	o := c.obj(1)
	if !o.signs() {
		return rcKey.handle(1)
	}
	if o.pub.has(attrX509Sign) {
		return rcAttributes.handle(1)
	}
	s, ok := o.pick(asked)
	if !ok {
		return rcScheme.param(2)
	}
	if len(proof) > 0 || o.pub.has(attrRestricted) {
		if !hmac.Equal(proof, t.hashTicket(root, s.hash, d)) {
			return rcTicket.param(3)
		}
	} else if len(d) != digestSize(s.hash) {
		return rcSize.param(1)
	}
	salt := rsa.PSSSaltLengthEqualsHash
	if t.id.LongSalt {
		salt = rsa.PSSSaltLengthAuto
	}
	sig, rc := o.sign(s, d, salt)
	c.out.raw(sig)
	return rc
}

// hashTicket returns the HMAC of the ticket that says that d is a digest this
// TPM made of something harmless.
func (t *TPM) hashTicket(root uint32, alg uint16, d []byte) []byte {
	w := t.ticket(tkHashCheck, root, be16(alg), d)
	return w[8:]
}

// hashCommand is TPM2_Hash (part 3, 15.4).
func hashCommand(t *TPM, c *call) code {
	in := &c.in
	data := in.at(1).sized(maxBuffer)
	alg := in.at(2).hashAlg(false)
	root := in.at(3).u32()
	if in.err == 0 && !isHierarchy(root) {
		in.fail(rcValue)
	}
	if rc := in.end(); rc != 0 {
		return rc
	}
	d := digest(alg, data)
	c.out.sized(d)
	c.out.u16(tkHashCheck)
	if root == rhNull || len(data) >= 4 && string(data[:4]) == "\xffTCG" {
		c.out.u32(rhNull)
		c.out.sized(nil)
		return 0
	}
	c.out.u32(root)
	c.out.sized(t.hashTicket(root, alg, d))
	return 0
}

// A signature is a TPMT_SIGNATURE.
type signature struct {
	scheme
	sig  []byte // RSA
	r, s []byte // ECC
}

func (r *reader) signature() (s signature) {
	s.alg = r.u16()
	switch {
	case r.err != 0:
	case s.alg == algRSASSA || s.alg == algRSAPSS:
		s.hash = r.hashAlg(false)
		s.sig = r.sized(maxRSABytes)
	case s.alg == algECDSA:
		s.hash = r.hashAlg(false)
		s.r, s.s = r.sized(maxECCBytes), r.sized(maxECCBytes)
	default:
		r.fail(rcScheme)
	}
	return s
}

// verify checks a signature over a digest.
func (o *object) verify(s signature, d []byte) bool {
	h := hashOf(s.hash)
	switch {
	case o.pub.typ == algECC:
		return s.alg == algECDSA && ecdsa.Verify(o.ecPub, d, new(big.Int).SetBytes(s.r), new(big.Int).SetBytes(s.s))
	case len(d) != h.Size():
		return false
	case s.alg == algRSASSA:
		return rsa.VerifyPKCS1v15(o.rsaPub, h, d, s.sig) == nil
	}
	return s.alg == algRSAPSS && rsa.VerifyPSS(o.rsaPub, h, d, s.sig, nil) == nil
}

// verifySignature is TPM2_VerifySignature (part 3, 20.1).
func verifySignature(t *TPM, c *call) code {
	d := c.in.at(1).sized(maxDigest)
	s := c.in.at(2).signature()
	if rc := c.in.end(); rc != 0 {
		return rc
	}
	o := c.obj(1)
	if !o.pub.has(attrSign) {
		return rcAttributes.handle(1)
	}
	if !o.verify(s, d) {
		return rcSignature.param(2)
	}
	if o.hierarchy == rhNull {
		c.out.u16(tkVerified)
		c.out.u32(rhNull)
		c.out.sized(nil)
		return 0
	}
	c.out.raw(t.ticket(tkVerified, o.hierarchy, d, o.name))
	return 0
}
