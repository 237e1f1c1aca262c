package softtpm

import "crypto/hmac"

// makeCredential is TPM2_MakeCredential (part 3, 12.6).
func makeCredential(_ *TPM, c *call) code {
	cred := c.in.at(1).sized(maxDigest)
	name := c.in.at(2).sized(maxDigest + 2)
	if rc := c.in.end(); rc != 0 {
		return rc
	}
	o := c.obj(1)
	if !o.pub.parent() {
		return rcType.handle(1)
	}
	if len(cred) > digestSize(o.pub.nameAlg) {
		return rcSize.param(1)
	}
	seed, secret, rc := o.makeSecret("IDENTITY")
	if rc != 0 {
		return rc
	}
	symKey, macKey := protection(o.pub.nameAlg, seed, name, int(o.pub.sym.bits))
	var plain, blob writer
	plain.sized(cred)
	cfb(symKey, make([]byte, 16), plain.b, false)
	blob.sized(mac(o.pub.nameAlg, macKey, plain.b, name))
	blob.raw(plain.b)
	c.out.sized(blob.b)
	c.out.sized(secret)
	return 0
}

// activateCredential is TPM2_ActivateCredential (part 3, 12.5).
func activateCredential(_ *TPM, c *call) code {
	blob := c.in.at(1).sized(2 + maxDigest + 2 + maxDigest)
	secret := c.in.at(2).sized(maxRSABytes)
	if rc := c.in.end(); rc != 0 {
		return rc
	}
	o := c.obj(2)
	if !o.pub.parent() || o.publicOnly() {
		return rcType.handle(2)
	}
	seed, rc := o.openSecret("IDENTITY", secret)
	if rc != 0 {
		return rc.param(2)
	}
	cred, rc := openCredential(o, seed, c.obj(1).name, blob)
	if rc != 0 {
		return rc.param(1)
	}
	c.out.sized(cred)
	return 0
}

// openCredential checks and decrypts a TPMS_ID_OBJECT.
func openCredential(o *object, seed, name, blob []byte) ([]byte, code) {
	symKey, macKey := protection(o.pub.nameAlg, seed, name, int(o.pub.sym.bits))
	r := reader{b: blob}
	tag := r.sized(maxDigest)
	if r.err != 0 {
		return nil, r.err
	}
	if !hmac.Equal(tag, mac(o.pub.nameAlg, macKey, r.b, name)) {
		return nil, rcIntegrity
	}
	plain := append([]byte(nil), r.b...)
	cfb(symKey, make([]byte, 16), plain, true)
	in := reader{b: plain}
	cred := in.sized(digestSize(o.pub.nameAlg))
	return cred, in.end()
}
