package softtpm

// parameterKey returns the value that parameter encryption starts from.
func (t *TPM) parameterKey(a *authorization) []byte {
	key := append([]byte(nil), a.sess.key...)
	if a.ent != nil {
		key = append(key, t.authValue(a.ent)...)
	}
	return key
}

// crypt en- or decrypts b in place (part 1, 21).
func (s *session) crypt(key, newer, older, b []byte, decrypt bool) {
	bits := int(s.sym.bits)
	k := kdfA(s.hash, key, "CFB", newer, older, bits+128)
	cfb(k[:bits/8], k[bits/8:], b, decrypt)
}

// decryptParameter decrypts the first parameter if a session says so.
func (t *TPM) decryptParameter(c *call) code {
	a := c.crypter(sessDecrypt)
	if a == nil {
		return 0
	}
	b := append([]byte(nil), c.in.b...)
	c.in.b = b
	part, ok := encryptable(b)
	if !ok {
		return rcInsufficient.param(1)
	}
	a.sess.crypt(t.parameterKey(a), a.nonce, a.sess.nonceTPM, part, true)
	return 0
}

// respondAuths rolls the nonces, encrypts the first parameter of the response
// if asked, and returns the response's authorization area.
func (t *TPM) respondAuths(c *call) []byte {
	for i := range c.auths {
		if s := c.auths[i].sess; s != nil {
			s.nonceTPM = randomBytes(len(s.nonceTPM))
		}
	}
	if a := c.crypter(sessEncrypt); a != nil {
		if part, ok := encryptable(c.out.b); ok {
			a.sess.crypt(t.parameterKey(a), a.sess.nonceTPM, a.nonce, part, false)
		}
	}
	var w writer
	for i := range c.auths {
		a := &c.auths[i]
		if a.sess == nil {
			w.sized(nil)
			w.u8(sessContinue)
			w.sized(nil)
			continue
		}
		w.sized(a.sess.nonceTPM)
		w.u8(a.attrs)
		w.sized(t.responseHMAC(c, a))
		t.afterUse(a)
	}
	return w.b
}

// responseHMAC returns the HMAC of a response (part 1, 19.6.5).
func (t *TPM) responseHMAC(c *call, a *authorization) []byte {
	s := a.sess
	key := t.hmacKey(a) // anew: the command may have changed the value
	if len(key) == 0 && len(a.value) == 0 {
		return nil
	}
	rpHash := digest(s.hash, be32(0), be32(c.cc), c.out.b)
	return mac(s.hash, key, rpHash, s.nonceTPM, a.nonce, []byte{a.attrs})
}

// afterUse ends a session, or restarts its policy.
func (t *TPM) afterUse(a *authorization) {
	switch {
	case a.attrs&sessContinue == 0:
		delete(t.sessions, a.sess.handle)
	case a.sess.policy:
		a.sess.restart()
	}
}
