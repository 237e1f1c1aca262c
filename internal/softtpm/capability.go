package softtpm

import (
	"encoding/binary"
	"maps"
	"slices"
)

// Capabilities (part 2, 6.12).
const (
	capAlgs       = 0
	capHandles    = 1
	capCommands   = 2
	capPCRs       = 5
	capProperties = 6
	capCurves     = 8
)

const maxList = 254 // of handles; other lists are shorter than their limit

// getCapability is TPM2_GetCapability (part 3, 30.2).
func getCapability(t *TPM, c *call) code {
	in := &c.in
	what := in.at(1).u32()
	from := in.at(2).u32()
	count := int64(in.at(3).u32())
	if rc := in.end(); rc != 0 {
		return rc
	}
	var items [][]byte
	switch what {
	case capAlgs:
		items = algorithmList(from)
	case capHandles:
		list, ok := t.handles(from)
		if !ok {
			return rcHandle.param(2)
		}
		items = list
	case capCommands:
		items = commandList(from)
	case capPCRs:
		if from != 0 {
			return rcValue.param(2)
		}
		items, count = t.banks(), maxList
	case capProperties:
		items = t.properties(from)
	case capCurves:
		items = after(from, []uint32{curveP256, curveP384}, func(v uint32) []byte { return be16(uint16(v)) })
	default:
		return rcValue.param(1)
	}
	more := uint8(0)
	if n := min(count, maxList); int64(len(items)) > n {
		items, more = items[:n], 1
	}
	c.out.u8(more)
	c.out.u32(what)
	c.out.u32(uint32(len(items)))
	for _, item := range items {
		c.out.raw(item)
	}
	return 0
}

// after returns the entries for the values not below from.
func after(from uint32, values []uint32, entry func(uint32) []byte) (out [][]byte) {
	for _, v := range values {
		if v >= from {
			out = append(out, entry(v))
		}
	}
	return out
}

// algorithmAttributes are the TPMA_ALGORITHM bits by algorithm: 1 asymmetric, 2
// symmetric, 4 hash, 8 object, 0x100 signing, 0x200 encrypting, 0x400 method.
var algorithmAttributes = map[uint32]uint32{
	algRSA: 0x009, algSHA1: 0x004, algHMAC: 0x104, algAES: 0x002, algMGF1: 0x404, algSHA256: 0x004,
	algSHA384: 0x004, algSHA512: 0x004, algRSASSA: 0x101, algRSAES: 0x201, algRSAPSS: 0x101, algOAEP: 0x201, algECDSA: 0x101,
	algECDH: 0x401, algKDF1A: 0x404, algKDF1: 0x404, algECC: 0x009, algCFB: 0x202,
}

func algorithmList(from uint32) [][]byte {
	return after(from, slices.Sorted(maps.Keys(algorithmAttributes)), func(a uint32) []byte {
		return append(be16(uint16(a)), be32(algorithmAttributes[a])...)
	})
}

// commandList lists TPMA_CC: the code, the number of handles, whether a handle
// is returned.
func commandList(from uint32) [][]byte {
	m := commands()
	return after(from, slices.Sorted(maps.Keys(m)), func(cc uint32) []byte {
		v := cc | uint32(len(m[cc].handles))<<25
		if m[cc].handleOut {
			v |= 1 << 28
		}
		return be32(v)
	})
}

// handles lists the handles of from's type that are not below from.
func (t *TPM) handles(from uint32) ([][]byte, bool) {
	var all []uint32
	switch from >> 24 {
	case htPCR:
		for i := range uint32(pcrCount) {
			all = append(all, i)
		}
	case htNV:
		all = t.nvHandles()
	case htHMAC: // loaded sessions of both kinds
		for _, hd := range slices.Sorted(maps.Keys(t.sessions)) {
			if hd&0xFFFFFF >= from&0xFFFFFF {
				all = append(all, hd)
			}
		}
		return after(0, all, be32), true
	case htPolicy: // saved sessions: there are none
	case htPermanent:
		all = []uint32{rhOwner, rhNull, rsPassword, rhLockout, rhEndorsement, rhPlatform}
	case htTransient:
		for _, o := range t.objects {
			if o != nil {
				all = append(all, o.handle)
			}
		}
	case htPersistent:
		all = slices.Sorted(maps.Keys(t.evicts))
	default:
		return nil, false
	}
	return after(from, all, be32), true
}

// banks lists the PCR banks.
func (t *TPM) banks() (out [][]byte) {
	for _, h := range hashes {
		if t.pcr[h.alg] != nil {
			out = append(out, append(be16(h.alg), 3, 0xFF, 0xFF, 0xFF))
		}
	}
	return out
}

// properties lists the properties not below from that are of its group.
func (t *TPM) properties(from uint32) [][]byte {
	m := t.fixed()
	t.variable(m)
	return after(from, slices.Sorted(maps.Keys(m)), func(p uint32) []byte {
		return append(be32(p), be32(m[p])...)
	})
}

// text returns the value of a property of four characters.
func text(s string) uint32 {
	var b [4]byte
	copy(b[:], s)
	return binary.BigEndian.Uint32(b[:])
}

// fixed returns the properties of the group TPM_PT_FIXED (part 2, 6.13).
func (t *TPM) fixed() map[uint32]uint32 {
	m := map[uint32]uint32{
		0x100: text("2.0"), 0x101: 0, 0x102: t.id.Revision, 0x103: t.id.Day, 0x104: t.id.Year, 0x105: text(t.id.Manufacturer),
		0x10A: 1, 0x10B: t.id.Firmware[0], 0x10C: t.id.Firmware[1],
		0x10D: maxBuffer, 0x10E: objectSlots, 0x10F: 7, 0x110: sessionSlots, 0x111: 64, 0x112: pcrCount, 0x113: pcrCount / 8,
		0x114: 0xFFFF, 0x116: 0, 0x117: maxNVIndex, 0x118: 0, 0x119: 4096, 0x11A: algSHA256, 0x11B: algAES, 0x11C: 128,
		0x11D: 8, 0x11E: maxCommand, 0x11F: maxCommand, 0x120: maxDigest, 0x121: 0, 0x122: 0,
		0x123: 1, 0x124: 0, 0x125: t.id.Revision, 0x126: t.id.Day, 0x127: t.id.Year, 0x128: 0,
		0x129: uint32(len(commands())), 0x12A: uint32(len(commands())), 0x12B: 0, 0x12C: maxNVBuffer, 0x12D: 0, 0x12E: maxBuffer,
	}
	for i, s := range t.id.Vendor {
		m[0x106+uint32(i)] = text(s)
	}
	return m
}

// variable adds the properties of the group TPM_PT_VAR.
func (t *TPM) variable(m map[uint32]uint32) {
	permanent := uint32(0)
	for i, a := range [][]byte{t.st.OwnerAuth, t.st.EndorsementAuth, t.st.LockoutAuth} {
		if len(a) > 0 {
			permanent |= 1 << i
		}
	}
	if t.locked() {
		permanent |= 1 << 9
	}
	loaded := uint32(len(t.sessions))
	m[0x200] = permanent
	m[0x201] = 0x8000000F // all hierarchies are enabled, shutdown was orderly
	m[0x202] = uint32(len(t.st.NV))
	m[0x203] = loaded
	m[0x204] = sessionSlots - loaded
	m[0x205] = loaded
	m[0x206] = 64 - loaded
	m[0x207] = uint32(t.free())
	m[0x208] = uint32(len(t.evicts))
	m[0x209] = uint32(maxPersistent - len(t.evicts))
	m[0x20A] = 0
	m[0x20B] = 0
	m[0x20E] = t.st.Tries
	l := t.lockout()
	m[0x20F], m[0x210], m[0x211] = l.MaxTries, l.Recovery, l.Reset
}
