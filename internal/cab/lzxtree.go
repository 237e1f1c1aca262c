package cab

import "encoding/binary"

// lzxBits reads bits from 16-bit words in little-endian order, the highest first.
// Past the end it reads zeros; over tells whether any of them was used.
type lzxBits struct {
	in  []byte
	pos int // of the next word
	acc uint64
	n   uint // bits of acc that nobody has used yet
}

func (b *lzxBits) fill() {
	for b.n <= 32 {
		word := uint16(0)
		switch {
		case b.pos+2 <= len(b.in):
			word = binary.LittleEndian.Uint16(b.in[b.pos:])
		case b.pos < len(b.in):
			word = uint16(b.in[b.pos])
		}
		b.pos += 2
		b.acc = b.acc<<16 | uint64(word)
		b.n += 16
	}
}

// peek returns the next 16 bits.
func (b *lzxBits) peek() uint16 {
	b.fill()
	return uint16(b.acc >> (b.n - 16))
}

// read returns the next k bits, at most 32.
func (b *lzxBits) read(k uint) uint32 {
	b.fill()
	b.n -= k
	return uint32(b.acc >> b.n & (1<<k - 1))
}

// over reports whether more bits were read than there are.
func (b *lzxBits) over() bool { return b.pos*8-int(b.n) > len(b.in)*8 }

// align goes on to the next word and drops the bits that were read ahead.
func (b *lzxBits) align() {
	b.pos -= int(b.n/16) * 2
	b.n, b.acc = 0, 0
}

// tree is a canonical Huffman code of symbols with lengths of up to 16 bits.
type tree struct {
	fast    [1 << fastBits]uint32 // symbol<<8 | length, 0 if the code is longer
	first   [18]uint32            // first code of each length
	index   [18]uint32            // index in symbols of that code
	symbols []uint16
	empty   bool
}

const fastBits = 10

// build sets the code. It reports whether the lengths make a complete one, or no
// symbol has a code.
func (t *tree) build(lengths []uint8) bool {
	var count [18]uint32
	for _, l := range lengths {
		count[l]++
	}
	t.empty = int(count[0]) == len(lengths)
	count[0] = 0
	code, index := uint32(0), uint32(0)
	var next [18]uint32
	for l := 1; l <= 16; l++ {
		code <<= 1
		t.first[l], t.index[l], next[l] = code, index, index
		code += count[l]
		index += count[l]
		if code > 1<<l {
			return false
		}
	}
	t.first[17], t.index[17] = code<<1, index
	if code != 1<<16 {
		return t.empty
	}
	t.symbols = append(t.symbols[:0], make([]uint16, index)...)
	clear(t.fast[:])
	for s, l := range lengths {
		if l == 0 {
			continue
		}
		t.symbols[next[l]] = uint16(s)
		if l <= fastBits {
			c := t.first[l] + next[l] - t.index[l]
			from := c << (fastBits - l)
			for i := from; i < from+1<<(fastBits-l); i++ {
				t.fast[i] = uint32(s)<<8 | uint32(l)
			}
		}
		next[l]++
	}
	return true
}

// decode returns the next symbol. The tree must not be empty.
func (t *tree) decode(b *lzxBits) int {
	v := uint32(b.peek())
	if e := t.fast[v>>(16-fastBits)]; e != 0 {
		b.n -= uint(e & 0xFF)
		return int(e >> 8)
	}
	l := fastBits + 1
	for ; l < 16 && v>>(16-l) >= (t.first[l+1]>>1); l++ {
	}
	b.n -= uint(l)
	return int(t.symbols[t.index[l]+v>>(16-l)-t.first[l]])
}
