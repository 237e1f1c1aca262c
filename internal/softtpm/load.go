package softtpm

// load is TPM2_Load (part 3, 12.2).
func load(t *TPM, c *call) code {
	in := &c.in
	blob := in.at(1).sized(maxBuffer)
	var pub public
	in.at(2).inner(true, func(r *reader) { pub = r.public(false) })
	if rc := in.end(); rc != 0 {
		return rc
	}
	parent := c.obj(1)
	switch {
	case len(blob) == 0:
		return rcSize.param(1)
	case !parent.pub.parent() || parent.publicOnly():
		return rcType.handle(1)
	case t.free() < 1:
		return rcObjectMemory
	}
	o := &object{hierarchy: parent.hierarchy, pub: pub, temporary: parent.temporary || pub.has(attrSTClear)}
	o.names(parent.qname)
	var rc code
	if o.sens, rc = unwrap(parent, o.name, blob); rc != 0 {
		return rc.param(1)
	}
	if rc := checkAttributes(&pub, parent); rc != 0 {
		return rc.param(2)
	}
	if rc := o.use(2, 1); rc != 0 {
		return rc
	}
	if rc := t.place(o); rc != 0 {
		return rc
	}
	c.newHandle = o.handle
	c.out.sized(o.name)
	return 0
}

// use makes the Go keys from the areas of o. A fault is one of the parameter with the
// number pub or sens.
func (o *object) use(pub, sens int) code {
	if rc := o.usePublic(); rc != 0 {
		return rc.param(pub)
	}
	return o.bind(sens)
}

// bind makes the private Go key. A fault is one of parameter n, except if the key
// belongs to another public key, which is not the fault of one parameter.
func (o *object) bind(n int) code {
	rc := o.usePrivate()
	if rc == rcBinding {
		return rc
	}
	return rc.param(n)
}

// loadExternal is TPM2_LoadExternal (part 3, 12.3).
func loadExternal(t *TPM, c *call) code {
	in := &c.in
	var sens *sensitive
	in.at(1).inner(false, func(r *reader) { s := r.sensitive(); sens = &s })
	var pub public
	in.at(2).inner(true, func(r *reader) { pub = r.public(true) })
	root := in.at(3).u32()
	if in.err == 0 && !isHierarchy(root) {
		in.fail(rcValue)
	}
	if rc := in.end(); rc != 0 {
		return rc
	}
	switch {
	case t.free() < 1:
		return rcObjectMemory
	case sens != nil && root != rhNull:
		return rcHierarchy.param(3)
	case sens != nil && pub.attrs&(attrFixedTPM|attrFixedParent|attrRestricted) != 0:
		return rcAttributes.param(2)
	case sens != nil && len(sens.auth) > digestSize(pub.nameAlg) && pub.nameAlg != algNull:
		return rcSize.param(1)
	}
	if rc := checkExternal(&pub); rc != 0 {
		return rc.param(2)
	}
	o := &object{hierarchy: root, pub: pub, temporary: true}
	o.names(be32(root))
	rc := o.usePublic().param(2)
	if rc == 0 && sens != nil {
		o.sens = *sens
		o.sens.auth = trim(sens.auth)
		rc = o.bind(1)
	}
	if rc != 0 {
		return rc
	}
	if rc := t.place(o); rc != 0 {
		return rc
	}
	c.newHandle = o.handle
	c.out.sized(o.name)
	return 0
}

// checkExternal checks the public area of a key from outside, which need not
// be of this TPM.
func checkExternal(p *public) code {
	switch {
	case len(p.policy) != 0 && len(p.policy) != digestSize(p.nameAlg):
		return rcSize
	case p.has(attrRestricted | attrSign | attrDecrypt):
		return rcAttributes
	}
	return checkSchemes(p)
}

// readPublic is TPM2_ReadPublic (part 3, 12.4).
func readPublic(_ *TPM, c *call) code {
	if rc := c.in.end(); rc != 0 {
		return rc
	}
	o := c.obj(1)
	c.out.sized(o.pub.marshal())
	c.out.sized(o.name)
	c.out.sized(o.qname)
	return 0
}

// flushContext is TPM2_FlushContext (part 3, 28.4). Its handle is a parameter.
func flushContext(t *TPM, c *call) code {
	hd := c.in.at(1).u32()
	if c.in.err == 0 && !isFlushable(hd) {
		c.in.fail(rcValue)
	}
	if rc := c.in.end(); rc != 0 {
		return rc
	}
	if isSession(hd) {
		if t.sessions[hd] == nil {
			return rcHandle.param(1)
		}
		delete(t.sessions, hd)
		return 0
	}
	if t.transient(hd) == nil {
		return rcHandle.param(1)
	}
	t.objects[hd&0xFFFFFF] = nil
	return 0
}

// evictControl is TPM2_EvictControl (part 3, 28.5).
func evictControl(t *TPM, c *call) code {
	hd := c.in.at(1).u32()
	if c.in.err == 0 && !isPersistent(hd) {
		c.in.fail(rcValue)
	}
	if rc := c.in.end(); rc != 0 {
		return rc
	}
	o := c.obj(2)
	persistent := isPersistent(c.handle(2))
	switch {
	case o.temporary || o.publicOnly():
		return rcAttributes.handle(2)
	case persistent && c.handle(2) != hd:
		return rcHandle.handle(2)
	}
	owners := hd < 0x81800000
	switch {
	case c.handle(1) == rhOwner && o.hierarchy == rhPlatform:
		return rcHierarchy.handle(2)
	case owners != (c.handle(1) == rhOwner) && (c.handle(1) == rhOwner || !persistent):
		return rcRange.param(1)
	}
	t.dirty = true
	if persistent {
		delete(t.evicts, hd)
		return 0
	}
	return t.persist(o, hd).param(1)
}

// persist makes a persistent copy of o.
func (t *TPM) persist(o *object, hd uint32) code {
	switch {
	case t.evicts[hd] != nil:
		return rcNVDefined
	case len(t.evicts) >= maxPersistent:
		return rcNVSpace
	}
	e := *o
	e.handle = hd
	t.evicts[hd] = &e
	return 0
}

// hierarchyChangeAuth is TPM2_HierarchyChangeAuth (part 3, 24.8).
func hierarchyChangeAuth(t *TPM, c *call) code {
	auth := trim(c.in.at(1).sized(maxDigest))
	if rc := c.in.end(); rc != 0 {
		return rc
	}
	if len(auth) > digestSize(algSHA256) {
		return rcSize.param(1)
	}
	switch c.handle(1) {
	case rhOwner:
		t.st.OwnerAuth = auth
	case rhEndorsement:
		t.st.EndorsementAuth = auth
	case rhLockout:
		t.st.LockoutAuth = auth
	case rhPlatform:
		t.platform.auth = auth
	}
	t.dirty = true
	return 0
}
