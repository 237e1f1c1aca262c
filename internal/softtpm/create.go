package softtpm

// A creation is the answer to a template: the object and how it was made.
type creation struct {
	obj    *object
	data   []byte // TPMS_CREATION_DATA
	ticket []byte // TPMT_TK_CREATION
}

// sensitiveCreate reads a TPM2B_SENSITIVE_CREATE.
func (r *reader) sensitiveCreate() (auth, data []byte) {
	r.inner(true, func(r *reader) {
		auth = trim(r.sized(maxDigest))
		data = r.sized(maxSymData)
	})
	return auth, data
}

// inputs are the parameters of the three commands that create.
type inputs struct {
	auth, data []byte
	pub        public
	outside    []byte
	pcrs       []pcrSelection
}

// creationInputs reads the parameters of TPM2_Create and TPM2_CreatePrimary.
func (c *call) creationInputs() (p inputs, rc code) {
	in := &c.in
	p.auth, p.data = in.at(1).sensitiveCreate()
	in.at(2).inner(true, func(r *reader) { p.pub = r.public(false) })
	p.outside = in.at(3).sized(maxData)
	p.pcrs = in.at(4).pcrSelection()
	return p, in.end()
}

// checkTemplate checks the public area of a key to be made. parent is nil for
// a primary.
func checkTemplate(p *public, parent *object) code {
	if len(p.policy) != 0 && len(p.policy) != digestSize(p.nameAlg) {
		return rcSize
	}
	if !p.has(attrSensitiveDataOrigin) {
		return rcAttributes // nobody else's asymmetric keys
	}
	return checkAttributes(p, parent)
}

// checkAttributes checks the rules for the attributes of created and loaded keys
// (part 1, 25; part 3, 12.1).
func checkAttributes(p *public, parent *object) code {
	fixed := parent == nil || parent.pub.has(attrFixedTPM)
	switch {
	case p.has(attrFixedTPM) != (fixed && p.has(attrFixedParent)):
		return rcAttributes
	case p.has(attrEncDuplication) && p.has(attrFixedTPM):
		return rcAttributes
	case parent != nil && p.has(attrFixedParent) && !p.has(attrFixedTPM) && p.has(attrEncDuplication) != parent.pub.has(attrEncDuplication):
		return rcAttributes
	case !p.has(attrSign) && !p.has(attrDecrypt), p.has(attrRestricted | attrSign | attrDecrypt):
		return rcAttributes
	case p.has(attrX509Sign) && (!p.has(attrSign) || p.has(attrRestricted)):
		return rcAttributes
	}
	return checkSchemes(p)
}

// checkSchemes checks that schemes suit the attributes.
func checkSchemes(p *public) code {
	if p.has(attrRestricted | attrDecrypt) {
		switch {
		case p.sym.alg == algNull:
			return rcSymmetric
		case p.scheme.alg != algNull:
			return rcScheme
		}
		return checkKDF(p)
	}
	if p.sym.alg != algNull {
		return rcSymmetric
	}
	signing := p.scheme.alg == algRSASSA || p.scheme.alg == algRSAPSS || p.scheme.alg == algECDSA
	switch {
	case p.has(attrRestricted|attrSign) && !signing:
		return rcScheme
	case p.has(attrSign|attrDecrypt) && p.scheme.alg != algNull:
		return rcScheme
	case p.scheme.alg != algNull && p.has(attrSign) != signing:
		return rcScheme
	}
	return checkKDF(p)
}

// checkKDF checks that an ECC key has no KDF. The specification allows none yet.
func checkKDF(p *public) code {
	if p.typ == algECC && p.kdf.alg != algNull {
		return rcKDF
	}
	return 0
}

// make makes an object. Its key comes from src, or is random if that is nil.
// parentName is the qualified name of the parent.
func (t *TPM) makeObject(p *inputs, hierarchy uint32, src source, parentName []byte) (*object, code) {
	o := &object{hierarchy: hierarchy, pub: p.pub, temporary: hierarchy == rhNull || p.pub.has(attrSTClear)}
	o.sens.auth = p.auth
	if rc := t.generate(o, src); rc != 0 {
		return nil, rc
	}
	if n := digestSize(o.pub.nameAlg); src != nil {
		o.sens.seed = src.bytes(n)
	} else {
		o.sens.seed = randomBytes(n)
	}
	o.names(parentName)
	return o, 0
}

// check checks the inputs; the codes have the numbers of the parameters.
func (p *inputs) check(parent *object) code {
	if len(p.data) > 0 {
		return rcAttributes.param(2) // an asymmetric key comes from within
	}
	if rc := checkTemplate(&p.pub, parent); rc != 0 {
		return rc.param(2)
	}
	if len(p.auth) > digestSize(p.pub.nameAlg) {
		return rcSize.param(1)
	}
	return 0
}

// statement makes creation data and ticket.
func (t *TPM) statement(o *object, p *inputs, parentAlg uint16, parentName, parentQName []byte) creation {
	var w writer
	w.pcrSelection(p.pcrs)
	w.sized(t.pcrDigest(o.pub.nameAlg, p.pcrs))
	w.u8(1) // locality zero
	w.u16(parentAlg)
	w.sized(parentName)
	w.sized(parentQName)
	w.sized(p.outside)
	hash := digest(o.pub.nameAlg, w.b)
	return creation{o, w.b, t.ticket(tkCreation, o.hierarchy, o.name, hash)}
}

// ticket returns a ticket of the hierarchy over parts (part 2, 10.7).
func (t *TPM) ticket(tag uint16, hierarchy uint32, parts ...[]byte) []byte {
	var w writer
	w.u16(tag)
	w.u32(hierarchy)
	w.sized(mac(algSHA256, t.hierarchy(hierarchy).proof, append([][]byte{be16(tag)}, parts...)...))
	return w.b
}

// write writes the part of the response after the keys, which the commands that create
// have in common.
func (k *creation) write(w *writer) {
	w.sized(k.data)
	w.sized(digest(k.obj.pub.nameAlg, k.data))
	w.raw(k.ticket)
}

// createPrimary is TPM2_CreatePrimary (part 3, 24.1).
func createPrimary(t *TPM, c *call) code {
	p, rc := c.creationInputs()
	if rc != 0 {
		return rc
	}
	if t.free() < 1 {
		return rcObjectMemory
	}
	root := c.handle(1)
	if rc := p.check(nil); rc != 0 {
		return rc
	}
	o, rc := t.primary(root, &p)
	if rc != 0 {
		return rc.param(2)
	}
	if rc := t.place(o); rc != 0 {
		return rc
	}
	k := t.statement(o, &p, algNull, be32(root), be32(root))
	c.newHandle = o.handle
	c.out.sized(o.pub.marshal())
	k.write(&c.out)
	c.out.sized(o.name)
	return 0
}

// primary makes the primary key of a template.
func (t *TPM) primary(root uint32, p *inputs) (*object, code) {
	src := newStream(t.hierarchy(root).seed, []byte("primary"), p.pub.marshal())
	return t.makeObject(p, root, src, be32(root))
}

// create is TPM2_Create (part 3, 12.1).
func create(t *TPM, c *call) code {
	p, rc := c.creationInputs()
	if rc != 0 {
		return rc
	}
	parent := c.obj(1)
	if !parent.pub.parent() || parent.publicOnly() {
		return rcType.handle(1)
	}
	if t.free() < 1 {
		return rcObjectMemory
	}
	if rc := p.check(parent); rc != 0 {
		return rc
	}
	o, rc := t.makeObject(&p, parent.hierarchy, nil, parent.qname)
	if rc != 0 {
		return rc.param(2)
	}
	k := t.statement(o, &p, parent.pub.nameAlg, parent.name, parent.qname)
	c.out.sized(wrap(parent, o.name, &o.sens))
	c.out.sized(o.pub.marshal())
	k.write(&c.out)
	return 0
}

// createLoaded is TPM2_CreateLoaded (part 3, 12.9), for primary and ordinary
// keys.
func createLoaded(t *TPM, c *call) code {
	in := &c.in
	var p inputs
	p.auth, p.data = in.at(1).sensitiveCreate()
	template := in.at(2).sized(maxBuffer)
	if rc := in.end(); rc != 0 {
		return rc
	}
	parent := c.obj(1)
	if parent != nil && (!parent.pub.parent() || parent.publicOnly()) {
		return rcType.handle(1)
	}
	if t.free() < 1 {
		return rcObjectMemory
	}
	r := reader{b: template, n: 2}
	p.pub = r.public(false)
	if r.err == 0 && len(r.b) > 0 {
		r.fail(rcSize)
	}
	if r.err != 0 {
		return r.err
	}
	if rc := p.check(parent); rc != 0 {
		return rc
	}
	o, private, rc := t.createUnder(parent, c.handle(1), &p)
	if rc != 0 {
		return rc.param(2)
	}
	if rc := t.place(o); rc != 0 {
		return rc
	}
	c.newHandle = o.handle
	c.out.sized(private)
	c.out.sized(o.pub.marshal())
	c.out.sized(o.name)
	return 0
}

// createUnder makes a primary if parent is nil, else an ordinary key with its
// private area.
func (t *TPM) createUnder(parent *object, root uint32, p *inputs) (o *object, private []byte, rc code) {
	if parent == nil {
		o, rc = t.primary(root, p)
		return o, nil, rc
	}
	if o, rc = t.makeObject(p, parent.hierarchy, nil, parent.qname); rc != 0 {
		return nil, nil, rc
	}
	return o, wrap(parent, o.name, &o.sens), 0
}
