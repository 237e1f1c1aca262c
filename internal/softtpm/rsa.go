package softtpm

import (
	"crypto/rand"
	"crypto/rsa"
	"math/big"
)

// label reads the label of an RSA operation: empty, or with a NUL at its end.
func (c *call) label(n int) []byte {
	l := c.in.at(n).sized(maxData)
	if len(l) > 0 && l[len(l)-1] != 0 {
		c.in.fail(rcValue)
	}
	return l
}

// decryptScheme reads a TPMT_RSA_DECRYPT.
func (r *reader) decryptScheme() scheme { return r.scheme(rcValue, algRSAES, algOAEP) }

// pickDecrypt returns the scheme that key o and the caller agree on.
func (o *object) pickDecrypt(asked scheme) (scheme, bool) {
	s := o.pub.scheme
	switch {
	case s.alg == algNull:
		return asked, true
	case asked.alg != algNull && asked != s:
		return s, false
	}
	return s, s.alg == algRSAES || s.alg == algOAEP
}

// rsaDecrypt is TPM2_RSA_Decrypt (part 3, 14.3).
func rsaDecrypt(_ *TPM, c *call) code {
	in := &c.in
	text := in.at(1).sized(maxRSABytes)
	asked := in.at(2).decryptScheme()
	label := c.label(3)
	if rc := in.end(); rc != 0 {
		return rc
	}
	o := c.obj(1)
	switch {
	case o.pub.typ != algRSA:
		return rcKey.handle(1)
	case o.pub.has(attrRestricted), !o.pub.has(attrDecrypt), o.publicOnly():
		return rcAttributes.handle(1)
	}
	s, ok := o.pickDecrypt(asked)
	if !ok {
		return rcScheme.param(2)
	}
	if len(text) != o.rsaPub.Size() {
		return rcSize
	}
	plain, rc := o.decrypt(s, text, label)
	c.out.sized(plain)
	return rc
}

func (o *object) decrypt(s scheme, text, label []byte) ([]byte, code) {
	var plain []byte
	var err error
	switch s.alg {
	case algOAEP:
		plain, err = rsa.DecryptOAEP(hashOf(s.hash).New(), nil, o.rsaKey, text, label)
	case algRSAES:
		//lint:ignore SA1019 TPM_ALG_RSAES is this padding
		plain, err = rsa.DecryptPKCS1v15(nil, o.rsaKey, text)
	default:
		x := new(big.Int).SetBytes(text)
		if x.Cmp(o.rsaPub.N) >= 0 {
			return nil, rcSize
		}
		plain = x.Exp(x, o.rsaKey.D, o.rsaPub.N).FillBytes(make([]byte, o.rsaPub.Size()))
	}
	if err != nil {
		return nil, rcValue
	}
	return plain, 0
}

// rsaEncrypt is TPM2_RSA_Encrypt (part 3, 14.2).
func rsaEncrypt(_ *TPM, c *call) code {
	in := &c.in
	text := in.at(1).sized(maxRSABytes)
	asked := in.at(2).decryptScheme()
	label := c.label(3)
	if rc := in.end(); rc != 0 {
		return rc
	}
	o := c.obj(1)
	switch {
	case o.pub.typ != algRSA:
		return rcKey.handle(1)
	case !o.pub.has(attrDecrypt):
		return rcAttributes.handle(1)
	}
	s, ok := o.pickDecrypt(asked)
	if !ok {
		return rcScheme.param(2)
	}
	out, rc := o.encrypt(s, text, label)
	c.out.sized(out)
	return rc
}

func (o *object) encrypt(s scheme, text, label []byte) ([]byte, code) {
	var out []byte
	var err error
	switch s.alg {
	case algOAEP:
		out, err = rsa.EncryptOAEP(hashOf(s.hash).New(), rand.Reader, o.rsaPub, text, label)
	case algRSAES:
		//lint:ignore SA1019 TPM_ALG_RSAES is this padding
		out, err = rsa.EncryptPKCS1v15(rand.Reader, o.rsaPub, text)
	default:
		x := new(big.Int).SetBytes(text)
		if x.Cmp(o.rsaPub.N) >= 0 {
			return nil, rcValue.param(1)
		}
		out = x.Exp(x, big.NewInt(publicExponent), o.rsaPub.N).FillBytes(make([]byte, o.rsaPub.Size()))
	}
	if err != nil {
		return nil, rcValue.param(1)
	}
	return out, 0
}
