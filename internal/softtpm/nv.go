package softtpm

import "sort"

// NV attributes (part 2, 13.4).
const (
	nvPPWrite        = 1 << 0
	nvOwnerWrite     = 1 << 1
	nvAuthWrite      = 1 << 2
	nvPolicyWrite    = 1 << 3
	nvTypeMask       = 0xF << 4
	nvPolicyDelete   = 1 << 10
	nvWriteLocked    = 1 << 11
	nvWriteAll       = 1 << 12
	nvWriteDefine    = 1 << 13
	nvWriteSTClear   = 1 << 14
	nvGlobalLock     = 1 << 15
	nvPPRead         = 1 << 16
	nvOwnerRead      = 1 << 17
	nvAuthRead       = 1 << 18
	nvPolicyRead     = 1 << 19
	nvNoDA           = 1 << 25
	nvOrderly        = 1 << 26
	nvClearSTClear   = 1 << 27
	nvReadLocked     = 1 << 28
	nvWritten        = 1 << 29
	nvPlatformCreate = 1 << 30
	nvReadSTClear    = 1 << 31
	nvReserved       = 3<<8 | 0x1F<<20
)

// An nvIndex is an ordinary NV index. Its fields are those of the state file.
type nvIndex struct {
	NameAlg uint16
	Attrs   uint32
	Policy  []byte `json:",omitempty"`
	Auth    []byte `json:",omitempty"`
	Data    []byte
}

func (x *nvIndex) has(attrs uint32) bool { return x.Attrs&attrs == attrs }

// marshal returns the TPMS_NV_PUBLIC.
func (x *nvIndex) marshal(h uint32) []byte {
	var w writer
	w.u32(h)
	w.u16(x.NameAlg)
	w.u32(x.Attrs)
	w.sized(x.Policy)
	w.u16(uint16(len(x.Data)))
	return w.b
}

func (x *nvIndex) name(h uint32) []byte {
	return append(be16(x.NameAlg), digest(x.NameAlg, x.marshal(h))...)
}

// restart does what TPM2_Startup(CLEAR) does to an index.
func (x *nvIndex) restart() {
	if x.has(nvClearSTClear) {
		x.Attrs &^= nvWritten
	}
	if !x.has(nvWriteDefine) || !x.has(nvWritten) {
		x.Attrs &^= nvWriteLocked
	}
	x.Attrs &^= nvReadLocked
}

// nvDefineSpace is TPM2_NV_DefineSpace (part 3, 31.3).
func nvDefineSpace(t *TPM, c *call) code {
	x := &nvIndex{Auth: trim(c.in.at(1).sized(maxDigest))}
	var hd, size uint32
	c.in.at(2).inner(true, func(r *reader) {
		if hd = r.u32(); r.err == 0 && !isNV(hd) {
			r.fail(rcValue)
		}
		x.NameAlg = r.hashAlg(false)
		if x.Attrs = r.u32(); x.Attrs&nvReserved != 0 {
			r.fail(rcReservedBits)
		}
		x.Policy = r.sized(maxDigest)
		if size = uint32(r.u16()); r.err == 0 && size > maxNVIndex {
			r.fail(rcSize)
		}
	})
	if rc := c.in.end(); rc != 0 {
		return rc
	}
	if rc := x.check(c.handle(1)); rc != 0 {
		return rc
	}
	return t.defineNV(hd, x, int(size))
}

// check checks the definition of an index by provision.
func (x *nvIndex) check(provision uint32) code {
	const writes = nvPPWrite | nvOwnerWrite | nvAuthWrite | nvPolicyWrite
	const reads = nvPPRead | nvOwnerRead | nvAuthRead | nvPolicyRead
	switch {
	case len(x.Policy) != 0 && len(x.Policy) != digestSize(x.NameAlg):
		return rcSize.param(2)
	case len(x.Auth) > digestSize(x.NameAlg):
		return rcSize.param(1)
	case x.Attrs&(nvWritten|nvReadLocked|nvWriteLocked) != 0:
		return rcAttributes.param(2)
	case x.Attrs&nvTypeMask != 0: // counters and the like are not implemented
		return rcAttributes.param(2)
	case x.Attrs&writes == 0, x.Attrs&reads == 0:
		return rcAttributes.param(2)
	case x.has(nvClearSTClear | nvWriteDefine):
		return rcAttributes.param(2)
	case x.has(nvPlatformCreate) != (provision == rhPlatform):
		return rcAttributes.handle(1)
	case x.has(nvPolicyDelete): // needs a command that is not implemented
		return rcAttributes.param(2)
	}
	return 0
}

// defineNV makes the index.
func (t *TPM) defineNV(hd uint32, x *nvIndex, size int) code {
	if t.st.NV[hd] != nil {
		return rcNVDefined
	}
	total := size
	for _, y := range t.st.NV {
		total += len(y.Data) + 64
	}
	if total > maxNVTotal {
		return rcNVSpace
	}
	x.Data = make([]byte, size)
	for i := range x.Data {
		x.Data[i] = 0xFF
	}
	t.st.NV[hd] = x
	t.dirty = true
	return 0
}

// nvUndefineSpace is TPM2_NV_UndefineSpace (part 3, 31.4).
func nvUndefineSpace(t *TPM, c *call) code {
	if rc := c.in.end(); rc != 0 {
		return rc
	}
	x := c.ent[1].nv
	if x.has(nvPolicyDelete) {
		return rcAttributes.handle(2)
	}
	if c.handle(1) == rhOwner && x.has(nvPlatformCreate) {
		return rcNVAuthorization
	}
	delete(t.st.NV, c.handle(2))
	t.dirty = true
	return 0
}

// nvReadPublic is TPM2_NV_ReadPublic (part 3, 31.6).
func nvReadPublic(_ *TPM, c *call) code {
	if rc := c.in.end(); rc != 0 {
		return rc
	}
	x := c.ent[0].nv
	c.out.sized(x.marshal(c.handle(1)))
	c.out.sized(x.name(c.handle(1)))
	return 0
}

// allowed checks that handle 1 may use the index, with the attribute that it
// needs as the owner or as the platform.
func (c *call) allowed(owner, platform uint32) code {
	x := c.ent[1].nv
	switch {
	case c.handle(1) == rhOwner && x.has(owner):
	case c.handle(1) == rhPlatform && x.has(platform):
	case c.handle(1) == c.handle(2):
	default:
		return rcNVAuthorization
	}
	return 0
}

// nvWrite is TPM2_NV_Write (part 3, 31.7).
func nvWrite(t *TPM, c *call) code {
	data := c.in.at(1).sized(maxNVBuffer)
	offset := int(c.in.at(2).u16())
	if rc := c.in.end(); rc != 0 {
		return rc
	}
	x := c.ent[1].nv
	if rc := c.allowed(nvOwnerWrite, nvPPWrite); rc != 0 {
		return rc
	}
	switch {
	case x.has(nvWriteLocked):
		return rcNVLocked
	case offset > len(x.Data):
		return rcValue.param(2)
	case offset+len(data) > len(x.Data), x.has(nvWriteAll) && len(data) < len(x.Data):
		return rcNVRange
	}
	copy(x.Data[offset:], data)
	x.Attrs |= nvWritten
	t.dirty = true
	return 0
}

// nvRead is TPM2_NV_Read (part 3, 31.13).
func nvRead(_ *TPM, c *call) code {
	size := int(c.in.at(1).u16())
	offset := int(c.in.at(2).u16())
	if rc := c.in.end(); rc != 0 {
		return rc
	}
	x := c.ent[1].nv
	if x.has(nvReadLocked) {
		return rcNVLocked
	}
	if rc := c.allowed(nvOwnerRead, nvPPRead); rc != 0 {
		return rc
	}
	switch {
	case !x.has(nvWritten):
		return rcNVUninitialized
	case size > maxNVBuffer:
		return rcValue.param(1)
	case offset > len(x.Data):
		return rcValue.param(2)
	case offset+size > len(x.Data):
		return rcNVRange
	}
	c.out.sized(x.Data[offset : offset+size])
	return 0
}

// nvHandles returns the handles of the indexes, in order.
func (t *TPM) nvHandles() []uint32 {
	var out []uint32
	for h := range t.st.NV {
		out = append(out, h)
	}
	sort.Slice(out, func(i, j int) bool { return out[i] < out[j] })
	return out
}
