package softtpm

import "time"

// A session is an HMAC, policy or trial session.
type session struct {
	handle        uint32
	policy, trial bool
	hash          uint16
	sym           symDef
	nonceTPM      []byte
	key           []byte
	bound         []byte // the entity it is bound to, nil if none
	pol           policy
}

// A policy is the state of a policy session.
type policy struct {
	digest    []byte
	cc        uint32 // that alone is allowed; 0 is any
	authValue bool   // an HMAC with the entity's value is needed
	cpHash    []byte
	start     time.Time
	deadline  time.Time // zero is none
	pcrCount  uint32    // plus one; 0 if the policy names no PCRs
}

// restart forgets what the policy has gathered.
func (s *session) restart() {
	s.pol = policy{digest: make([]byte, digestSize(s.hash)), start: time.Now()}
}

// startAuthSession is TPM2_StartAuthSession (part 3, 11.1).
func startAuthSession(t *TPM, c *call) code {
	in := &c.in
	nonce := in.at(1).sized(maxNonce)
	blob := in.at(2).sized(maxRSABytes)
	typ := in.at(3).u8()
	if in.err == 0 && typ != 0 && typ != 1 && typ != 3 {
		in.fail(rcValue)
	}
	sym := in.at(4).symDef()
	hash := in.at(5).hashAlg(false)
	if rc := in.end(); rc != 0 {
		return rc
	}
	if len(nonce) < 16 || len(nonce) > digestSize(hash) {
		return rcSize.param(1)
	}
	salt, rc := c.openSalt(blob)
	if rc != 0 {
		return rc
	}
	s := &session{policy: typ != 0, trial: typ == 3, hash: hash, sym: sym, nonceTPM: randomBytes(len(nonce))}
	var bindAuth []byte
	if bind := &c.ent[1]; bind.handle != rhNull {
		if bind.obj != nil && bind.obj.publicOnly() {
			return rcHandle.handle(2)
		}
		if s.bound = t.binding(bind); !bind.exempt() && t.locked() {
			return rcLockout
		}
		bindAuth = t.authValue(bind)
	}
	if rc := t.placeSession(s); rc != 0 {
		return rc
	}
	if key := append(append([]byte(nil), bindAuth...), salt...); len(key) > 0 || s.bound != nil || c.handle(1) != rhNull {
		s.key = kdfA(hash, key, "ATH", s.nonceTPM, nonce, 8*digestSize(hash))
	}
	s.restart()
	c.newHandle = s.handle
	c.out.sized(s.nonceTPM)
	return 0
}

// openSalt decrypts the salt with the key of the first handle.
func (c *call) openSalt(blob []byte) ([]byte, code) {
	o := c.obj(1)
	switch {
	case o == nil && len(blob) > 0:
		return nil, rcValue.param(2)
	case o == nil:
		return nil, 0
	case len(blob) == 0:
		return nil, rcValue.param(2)
	case o.publicOnly():
		return nil, rcHandle.handle(1)
	case !o.pub.has(attrDecrypt):
		return nil, rcAttributes.handle(1)
	}
	salt, rc := o.openSecret("SECRET", blob)
	return salt, rc.param(2)
}

// placeSession gives s a slot and a handle.
func (t *TPM) placeSession(s *session) code {
	if len(t.sessions) >= sessionSlots {
		return rcSessionMemory
	}
	typ := uint32(htHMAC << 24)
	if s.policy {
		typ = htPolicy << 24
	}
	for i := uint32(0); ; i++ {
		if t.sessions[htHMAC<<24|i] == nil && t.sessions[htPolicy<<24|i] == nil {
			s.handle = typ | i
			t.sessions[s.handle] = s
			return 0
		}
	}
}
