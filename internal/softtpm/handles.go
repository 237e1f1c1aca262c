package softtpm

// An entity is what a handle refers to.
type entity struct {
	handle uint32
	obj    *object
	nv     *nvIndex
	sess   *session
	name   []byte
}

// Kinds of handles, as the interface types of part 2, clause 9.

func isObject(h uint32) bool      { return isTransient(h) || isPersistent(h) }
func isObjectNull(h uint32) bool  { return isObject(h) || h == rhNull }
func isPersistent(h uint32) bool  { return h>>24 == htPersistent }
func isNV(h uint32) bool          { return h>>24 == htNV }
func isPolicy(h uint32) bool      { return h>>24 == htPolicy && h&0xFFFFFF < activeSessions }
func isProvision(h uint32) bool   { return h == rhOwner || h == rhPlatform }
func isNVAuth(h uint32) bool      { return isProvision(h) || isNV(h) }
func isPCRNull(h uint32) bool     { return h < pcrCount || h == rhNull }
func isHierarchy(h uint32) bool   { return isEnabled(h) || h == rhNull }
func isEnabled(h uint32) bool     { return isProvision(h) || h == rhEndorsement }
func isHierAuth(h uint32) bool    { return isEnabled(h) || h == rhLockout }
func isEntity(h uint32) bool      { return isHierAuth(h) || isObject(h) || isNV(h) || h < pcrCount }
func isEntityNull(h uint32) bool  { return isEntity(h) || h == rhNull }
func isLockout(h uint32) bool     { return h == rhLockout }
func isTransient(h uint32) bool   { return h>>24 == htTransient && h&0xFFFFFF < objectSlots }
func isSession(h uint32) bool     { return isHMAC(h) || isPolicy(h) }
func isHMAC(h uint32) bool        { return h>>24 == htHMAC && h&0xFFFFFF < activeSessions }
func isFlushable(h uint32) bool   { return isTransient(h) || isSession(h) }
func isParentLike(h uint32) bool  { return isObject(h) || isHierarchy(h) }
func isAuthSession(h uint32) bool { return isSession(h) || h == rsPassword }

// resolve reads the handles of a command and finds what they refer to.
func (t *TPM) resolve(c *call, in *reader) code {
	for i, s := range c.cmd.handles {
		h := in.u32()
		if in.err != 0 {
			return in.err.handle(i + 1)
		}
		if !s.kind(h) {
			return rcValue.handle(i + 1)
		}
		c.ent = append(c.ent, entity{handle: h})
	}
	for i := range c.ent {
		if rc := t.find(&c.ent[i]); rc == rcReferenceH0 {
			return rc + code(i)
		} else if rc != 0 {
			return rc.handle(i + 1)
		}
	}
	return 0
}

// find fills e by its handle. A persistent object borrows a slot until the
// command is done, as it does in a chip.
func (t *TPM) find(e *entity) code {
	e.name = be32(e.handle)
	switch e.handle >> 24 {
	case htTransient:
		if e.obj = t.transient(e.handle); e.obj == nil {
			return rcReferenceH0
		}
		e.name = e.obj.name
	case htPersistent:
		i := t.slot() // needed first, even if there is no such object
		if i < 0 {
			return rcObjectMemory
		}
		o := t.evicts[e.handle]
		if o == nil {
			return rcHandle
		}
		t.borrowed[i] = true
		e.obj, e.name = o, o.name
	case htNV:
		if e.nv = t.st.NV[e.handle]; e.nv == nil {
			return rcHandle
		}
		e.name = e.nv.name(e.handle)
	case htHMAC, htPolicy:
		if e.sess = t.sessions[e.handle]; e.sess == nil {
			return rcReferenceH0
		}
	}
	return 0
}

// transient returns the object at a transient handle, or nil.
func (t *TPM) transient(h uint32) *object {
	if !isTransient(h) {
		return nil
	}
	return t.objects[h&0xFFFFFF]
}

// authValue returns the current authorization value of e.
func (t *TPM) authValue(e *entity) []byte {
	switch {
	case e.obj != nil:
		return e.obj.sens.auth
	case e.nv != nil:
		return e.nv.Auth
	case isHierAuth(e.handle):
		return t.hierarchy(e.handle).auth
	}
	return nil
}

// policyOf returns the policy of e and its hash, which is 0 without a policy.
func (e *entity) policyOf() (alg uint16, digest []byte) {
	switch {
	case e.obj != nil:
		return e.obj.pub.nameAlg, e.obj.pub.policy
	case e.nv != nil:
		return e.nv.NameAlg, e.nv.Policy
	}
	return 0, nil
}

// exempt reports whether wrong values for e do not count towards the lockout.
func (e *entity) exempt() bool {
	switch {
	case e.obj != nil:
		return e.obj.pub.has(attrNoDA)
	case e.nv != nil:
		return e.nv.has(nvNoDA)
	}
	return e.handle != rhLockout
}

// takesAuth reports whether the authorization value of e is good for role r
// in a command that writes an NV index or not.
func (e *entity) takesAuth(r role, writes bool) bool {
	switch {
	case e.obj != nil && e.obj.publicOnly():
		return false
	case e.obj != nil && r == admin:
		return true // with adminWithPolicy it came not here
	case e.obj != nil:
		return e.obj.pub.has(attrUserWithAuth)
	case e.nv != nil && writes:
		return e.nv.has(nvAuthWrite)
	case e.nv != nil:
		return e.nv.has(nvAuthRead)
	}
	return true
}

// takesPolicy reports whether a policy is good for e.
func (e *entity) takesPolicy(writes bool) bool {
	switch {
	case e.obj != nil:
		return !e.obj.publicOnly()
	case e.nv != nil && writes:
		return e.nv.has(nvPolicyWrite)
	case e.nv != nil:
		return e.nv.has(nvPolicyRead)
	}
	return false
}
