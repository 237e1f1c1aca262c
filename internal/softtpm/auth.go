package softtpm

import (
	"bytes"
	"crypto/hmac"
)

// An authorization is a TPMS_AUTH_COMMAND with what it is for.
type authorization struct {
	sess  *session // nil for a password
	ent   *entity  // nil if the session only en- or decrypts
	role  role
	attrs uint8
	nonce []byte
	value []byte // password or HMAC
}

// authorize checks the authorizations of c and leaves the parameters,
// decrypted, in c.in.
func (t *TPM) authorize(c *call, in *reader, sessions bool) code {
	needed := 0
	for _, s := range c.cmd.handles {
		if s.role != none {
			needed++
		}
	}
	if !sessions {
		c.in = reader{b: in.b}
		if needed > 0 {
			return rcAuthMissing
		}
		return 0
	}
	if rc := t.readAuths(c, in); rc != 0 {
		return rc
	}
	if len(c.auths) < needed {
		return rcAuthMissing
	}
	for i := range needed {
		c.auths[i].ent, c.auths[i].role = &c.ent[i], c.cmd.handles[i].role
	}
	for i := range c.auths {
		if rc := t.checkAuth(c, i, in.b); rc != 0 {
			return rc.session(i + 1)
		}
	}
	c.in = reader{b: in.b}
	return t.decryptParameter(c)
}

// readAuths reads the authorization area.
func (t *TPM) readAuths(c *call, in *reader) code {
	size := in.u32()
	if in.err != 0 {
		return in.err
	}
	if size < 9 || int64(size) > int64(len(in.b)) {
		return rcSize
	}
	if c.cmd.noSessions {
		return rcAuthContext
	}
	area := reader{b: in.take(int(size))}
	for i := 0; len(area.b) > 0; i++ {
		if i == 3 {
			return rcAuthSize
		}
		if rc := t.readAuth(c, &area, i); rc != 0 {
			return rc.session(i + 1)
		}
	}
	return 0
}

func (t *TPM) readAuth(c *call, in *reader, i int) code {
	h := in.u32()
	if in.err == 0 && !isAuthSession(h) {
		return rcValue
	}
	a := authorization{nonce: in.sized(maxNonce), attrs: in.u8(), value: in.sized(maxDigest)}
	switch {
	case in.err != 0:
		return in.err
	case a.attrs&sessReserved != 0:
		return rcReservedBits
	}
	if h == rsPassword {
		if a.attrs&^sessContinue != 0 {
			return rcAttributes
		}
		if len(a.nonce) != 0 {
			return rcNonce
		}
		c.auths = append(c.auths, a)
		return 0
	}
	if a.sess = t.sessions[h]; a.sess == nil {
		return rcReferenceS0 + code(i)
	}
	for _, b := range c.auths {
		if b.sess == a.sess {
			return rcHandle
		}
	}
	if rc := c.checkAttributes(&a); rc != 0 {
		return rc
	}
	c.auths = append(c.auths, a)
	return 0
}

// checkAttributes checks the attributes of a session against the command and
// the sessions before it.
func (c *call) checkAttributes(a *authorization) code {
	if a.attrs&(sessAudit|sessAudExcl|sessAudReset) != 0 {
		return rcAttributes // audit is not implemented
	}
	for _, way := range []struct {
		bit uint8
		can bool
	}{{sessDecrypt, c.cmd.decrypt}, {sessEncrypt, c.cmd.encrypt}} {
		if a.attrs&way.bit == 0 {
			continue
		}
		if !way.can || c.crypter(way.bit) != nil {
			return rcAttributes
		}
		if a.sess.sym.alg == algNull {
			return rcSymmetric
		}
	}
	return 0
}

// crypter returns the authorization that has the attribute bit, or nil.
func (c *call) crypter(bit uint8) *authorization {
	for i := range c.auths {
		if c.auths[i].attrs&bit != 0 {
			return &c.auths[i]
		}
	}
	return nil
}

// checkAuth checks authorization i of c; params are the parameters as sent.
func (t *TPM) checkAuth(c *call, i int, params []byte) code {
	a := &c.auths[i]
	switch {
	case a.sess == nil && a.ent == nil:
		return rcHandle
	case a.sess != nil && a.sess.trial:
		return rcAttributes
	case a.ent == nil && a.attrs&(sessDecrypt|sessEncrypt) == 0:
		return rcAttributes
	case a.ent == nil:
		return t.checkHMAC(c, i, params)
	}
	byPolicy := a.sess != nil && a.sess.policy
	if a.guessable() && t.locked() {
		return rcLockout
	}
	if byPolicy {
		if !a.ent.takesPolicy(c.cmd.writesNV) {
			return rcAuthUnavailable
		}
		if rc := t.checkPolicy(c, a, params); rc != 0 {
			return rc
		}
		return t.checkHMAC(c, i, params)
	}
	if a.role == admin && a.ent.obj != nil && a.ent.obj.pub.has(attrAdminWithPolicy) {
		return rcAuthType
	}
	if !a.ent.takesAuth(a.role, c.cmd.writesNV) {
		return rcAuthUnavailable
	}
	if a.sess == nil {
		return t.checkPassword(a)
	}
	return t.checkHMAC(c, i, params)
}

func (t *TPM) checkPassword(a *authorization) code {
	if hmac.Equal(trim(a.value), t.authValue(a.ent)) {
		return 0
	}
	return t.wrong(a)
}

// guessable reports whether a uses an authorization value that must not be guessed,
// other than that of the lockout hierarchy. A policy uses one only if it says so.
func (a *authorization) guessable() bool {
	byPolicy := a.sess != nil && a.sess.policy && !a.sess.pol.authValue
	return a.ent != nil && !a.ent.exempt() && a.ent.handle != rhLockout && !byPolicy
}

// wrong counts a wrong authorization value.
func (t *TPM) wrong(a *authorization) code {
	if a.guessable() {
		t.countTry()
		return rcAuthFail
	}
	if a.ent != nil && a.ent.handle == rhLockout {
		return rcAuthFail
	}
	return rcBadAuth
}

// trim drops trailing zeros, which do not count in an authorization value.
func trim(b []byte) []byte { return bytes.TrimRight(b, "\x00") }

// cpHash returns the hash of the command's parameters (part 1, 18.7).
func (c *call) cpHash(alg uint16, params []byte) []byte {
	parts := [][]byte{be32(c.cc)}
	for _, e := range c.ent {
		parts = append(parts, e.name)
	}
	return digest(alg, append(parts, params)...)
}

// checkHMAC checks the HMAC of authorization i (part 1, 19.6.5).
func (t *TPM) checkHMAC(c *call, i int, params []byte) code {
	a := &c.auths[i]
	s := a.sess
	key := t.hmacKey(a)
	want := []byte(nil)
	if len(key) > 0 || len(a.value) > 0 {
		parts := [][]byte{c.cpHash(s.hash, params), a.nonce, s.nonceTPM}
		if i == 0 {
			parts = append(parts, c.otherNonces()...)
		}
		want = mac(s.hash, key, append(parts, []byte{a.attrs})...)
	}
	if !hmac.Equal(want, a.value) {
		return t.wrong(a)
	}
	return 0
}

// otherNonces returns the nonces of the sessions that en- and decrypt, if
// these are not the first one: the first HMAC covers them.
func (c *call) otherNonces() (nonces [][]byte) {
	d, e := c.crypter(sessDecrypt), c.crypter(sessEncrypt)
	if d != nil && d != &c.auths[0] {
		nonces = append(nonces, d.sess.nonceTPM)
	}
	if e != nil && e != &c.auths[0] && e != d {
		nonces = append(nonces, e.sess.nonceTPM)
	}
	return nonces
}

// hmacKey returns the key of an authorization's HMAC: the session's, with the
// entity's value unless the session is bound to it.
func (t *TPM) hmacKey(a *authorization) []byte {
	key := append([]byte(nil), a.sess.key...)
	switch {
	case a.ent == nil:
	case a.sess.policy && !a.sess.pol.authValue:
	case !a.sess.policy && a.sess.bound != nil && bytes.Equal(a.sess.bound, t.binding(a.ent)):
	default:
		key = append(key, t.authValue(a.ent)...)
	}
	return key
}

// binding returns what identifies an entity a session is bound to.
func (t *TPM) binding(e *entity) []byte {
	var w writer
	w.sized(e.name)
	w.sized(t.authValue(e))
	return w.b
}
