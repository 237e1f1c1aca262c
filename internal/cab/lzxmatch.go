package cab

import (
	"errors"
	"io"
)

// matches decodes n bytes of a verbatim or aligned block.
func (d *lzx) matches(n int) error {
	b := &d.bits
	for n > 0 {
		symbol := d.main.decode(b)
		if b.over() {
			return io.ErrUnexpectedEOF
		}
		if symbol < lzxLiterals {
			d.put(byte(symbol))
			n--
			continue
		}
		symbol -= lzxLiterals
		length := symbol & 7
		if length == lzxPrimary {
			if d.length.empty {
				return errors.New("a length comes without a tree")
			}
			length += d.length.decode(b)
		}
		length += lzxMinMatch
		offset := d.offset(symbol >> 3)
		if length > n || offset == 0 || int64(offset) > min(d.total, int64(len(d.window))) || b.over() {
			return errors.New("a match lies outside the data")
		}
		mask := len(d.window) - 1
		from := (d.at - int(offset)) & mask
		for range length {
			d.put(d.window[from])
			from = (from + 1) & mask
		}
		n -= length
	}
	return nil
}

// offset returns the offset of a match and updates the repeated ones.
func (d *lzx) offset(slot int) uint32 {
	b, r := &d.bits, &d.recent
	switch slot {
	case 0:
		return r[0]
	case 1:
		r[0], r[1] = r[1], r[0]
		return r[0]
	case 2:
		r[0], r[2] = r[2], r[0]
		return r[0]
	}
	base, extra := slotBase(slot)
	offset := base - 2
	switch {
	case d.kind == lzxAlignedBl && extra >= 3:
		offset += b.read(extra-3)<<3 + uint32(d.aligned.decode(b))
	default:
		offset += b.read(extra)
	}
	r[0], r[1], r[2] = offset, r[0], r[1]
	return offset
}

// slotBase returns the first position of a slot and how many bits follow its symbol.
func slotBase(slot int) (base uint32, extra uint) {
	switch {
	case slot < 4:
		return uint32(slot), 0
	case slot < 36:
		extra = uint(slot)/2 - 1
		return uint32(2+slot%2) << extra, extra
	}
	return uint32(slot-34) << 17, 17
}
