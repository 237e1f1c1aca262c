package cabtest

import (
	"encoding/binary"
	"math/rand/v2"
	"sort"
)

// An LZXPlan is how the tests' encoder packs: with which window, blocks of which
// types, and whether the targets of calls are translated. The encoder is no good at
// packing; it uses what a decoder must know.
type LZXPlan struct {
	Bits   int    // 15 to 21
	Kinds  []int  // types of blocks, in turn
	Blocks []int  // their lengths, in turn
	Calls  uint32 // 0 for no translation
	Seed   uint64
}

// Types of blocks.
const (
	Verbatim = 1
	Aligned  = 2
	Raw      = 3
)

const (
	lzxLiterals = 256
	lzxLengths  = 249
	lzxAligned  = 8
	lzxPretree  = 20
	lzxPrimary  = 7
	lzxMinMatch = 2
	maxSlots    = 50
)

// slotCounts are the position slots for windows of 2^15 to 2^21 bytes.
var slotCounts = [...]int{30, 32, 34, 36, 38, 42, 50}

// slotBase returns the first position of a slot, and how many bits follow its symbol:
// slots come in pairs, each pair with one bit more than the last, up to 17.
func slotBase(slot int) (base uint32, extra uint) {
	for s := 0; ; s++ {
		if extra = 0; s >= 4 {
			extra = min(17, uint(s/2-1))
		}
		if s == slot {
			return base, extra
		}
		base += 1 << extra
	}
}

// lzxToken is a literal (length 0) or a match.
type lzxToken struct {
	literal byte
	length  int
	main    int // symbol of the main tree
	footer  int // symbol of the tree of lengths, -1 for none
	extra   uint32
	bits    uint
}

type lzxEncoder struct {
	LZXPlan
	out      []Block
	chunk    []byte
	acc      uint32
	n        uint
	recent   [3]uint32
	mainLens []uint8
	lenLens  []uint8
	rand     *rand.Rand
}

func (p LZXPlan) pack(data []byte) []Block {
	slots := slotCounts[p.Bits-15]
	e := &lzxEncoder{
		LZXPlan: p, recent: [3]uint32{1, 1, 1}, rand: rand.New(rand.NewPCG(p.Seed, 1)),
		mainLens: make([]uint8, lzxLiterals+8*slots), lenLens: make([]uint8, lzxLengths),
	}
	if p.Calls > 0 {
		data = e.absolute(data)
		e.put(1, 1)
		e.put(p.Calls>>16, 16)
		e.put(p.Calls&0xFFFF, 16)
	} else {
		e.put(0, 1)
	}
	for i, at := 0, 0; at < len(data); i++ {
		n := min(p.Blocks[i%len(p.Blocks)], len(data)-at)
		kind := p.Kinds[i%len(p.Kinds)]
		e.put(uint32(kind), 3)
		e.put(uint32(n>>8), 16)
		e.put(uint32(n&0xFF), 8)
		if kind == Raw {
			e.raw(data, at, n)
		} else {
			e.block(kind, data, at, n)
		}
		at += n
	}
	return e.out
}

// put appends the lowest n bits of v.
func (e *lzxEncoder) put(v uint32, n uint) {
	for n > 0 {
		n--
		e.acc = e.acc<<1 | v>>n&1
		e.n++
		if e.n == 16 {
			e.chunk = binary.LittleEndian.AppendUint16(e.chunk, uint16(e.acc))
			e.n, e.acc = 0, 0
		}
	}
}

// frame ends a frame if the data up to at end one.
func (e *lzxEncoder) frame(at, total int) {
	if at%blockSize != 0 && at != total {
		return
	}
	for e.n > 0 {
		e.put(0, 1)
	}
	size := at % blockSize
	if size == 0 {
		size = blockSize
	}
	e.out = append(e.out, Block{e.chunk, size})
	e.chunk = nil
}

func (e *lzxEncoder) raw(data []byte, at, n int) {
	e.put(0, 16-e.n) // 1 to 16 bits
	for _, r := range e.recent {
		e.chunk = binary.LittleEndian.AppendUint32(e.chunk, r)
	}
	for i := range n {
		e.chunk = append(e.chunk, data[at+i])
		if i == n-1 && n%2 == 1 {
			e.chunk = append(e.chunk, 0)
		}
		e.frame(at+i+1, len(data))
	}
}

// absolute translates the relative targets of calls, as the encoder must before.
func (e *lzxEncoder) absolute(data []byte) []byte {
	data = append([]byte(nil), data...)
	le, size := binary.LittleEndian, int32(e.Calls)
	for start := 0; start < len(data); start += blockSize {
		frame := data[start:min(start+blockSize, len(data))]
		for i := 0; i < len(frame)-10; {
			if frame[i] != 0xE8 {
				i++
				continue
			}
			at, target := int32(start+i), int32(le.Uint32(frame[i+1:]))
			switch {
			case target >= -at && target < size-at:
				le.PutUint32(frame[i+1:], uint32(target+at))
			case target >= size-at && target < size:
				le.PutUint32(frame[i+1:], uint32(target-size))
			}
			i += 5
		}
	}
	return data
}

func (e *lzxEncoder) block(kind int, data []byte, at, n int) {
	tokens := e.tokens(kind, data, at, n)
	main, length, aligned := make([]int, len(e.mainLens)), make([]int, len(e.lenLens)), make([]int, lzxAligned)
	main[at%256]++ // at least two symbols
	main[(at+1)%256]++
	for _, t := range tokens {
		main[t.main]++
		if t.footer >= 0 {
			length[t.footer]++
		}
		if kind == Aligned && t.bits >= 3 {
			aligned[t.extra&7]++
		}
	}
	if kind == Aligned {
		aligned[0]++
		aligned[7]++
	}
	alignedLens := codeLengths(aligned, 7)
	if kind == Aligned {
		for _, l := range alignedLens {
			e.put(uint32(l), 3)
		}
	}
	used := false
	for _, f := range length {
		used = used || f > 0
	}
	if used {
		length[0]++
		length[1]++
	}
	mainLens, lenLens := codeLengths(main, 16), codeLengths(length, 16)
	e.lengths(e.mainLens[:lzxLiterals], mainLens[:lzxLiterals])
	e.lengths(e.mainLens[lzxLiterals:], mainLens[lzxLiterals:])
	e.lengths(e.lenLens, lenLens)
	mainCodes, lenCodes, alignedCodes := codes(mainLens), codes(lenLens), codes(alignedLens)
	for _, t := range tokens {
		e.put(mainCodes[t.main], uint(mainLens[t.main]))
		if t.footer >= 0 {
			e.put(lenCodes[t.footer], uint(lenLens[t.footer]))
		}
		if kind == Aligned && t.bits >= 3 {
			e.put(t.extra>>3, t.bits-3)
			e.put(alignedCodes[t.extra&7], uint(alignedLens[t.extra&7]))
		} else {
			e.put(t.extra, t.bits)
		}
		at += max(t.length, 1)
		e.frame(at, len(data))
	}
}

// tokens splits n bytes into literals and matches that stay in their frame.
func (e *lzxEncoder) tokens(kind int, data []byte, at, n int) (tokens []lzxToken) {
	last := map[[3]byte]int{}
	for i := max(0, at-3000); i < at; i++ {
		if i+3 <= len(data) {
			last[[3]byte(data[i:])] = i
		}
	}
	window := 1<<e.Bits - 3
	for end := at + n; at < end; {
		most := min(257, end-at, blockSize-at%blockSize)
		from := -1
		switch {
		case at > 0 && e.rand.IntN(16) == 0: // anywhere in the window
			from = at - 1 - e.rand.IntN(min(at, window))
		case at > 0 && e.rand.IntN(4) == 0: // repeated
			from = at - int(e.recent[e.rand.IntN(3)])
		case at+3 <= len(data):
			if i, ok := last[[3]byte(data[at:])]; ok {
				from = i
			}
		}
		length := 0
		if from >= 0 && at-from <= window {
			for length < most && data[from+length] == data[at+length] {
				length++
			}
		}
		step := 1
		if length >= 2 {
			tokens = append(tokens, e.match(uint32(at-from), length))
			step = length
		} else {
			tokens = append(tokens, lzxToken{literal: data[at], main: int(data[at]), footer: -1})
		}
		for ; step > 0; step-- {
			if at+3 <= len(data) {
				last[[3]byte(data[at:])] = at
			}
			at++
		}
	}
	return tokens
}

func (e *lzxEncoder) match(offset uint32, length int) lzxToken {
	r := &e.recent
	slot, extra, bits := 0, uint32(0), uint(0)
	switch offset {
	case r[0]:
	case r[1]:
		slot = 1
		r[0], r[1] = r[1], r[0]
	case r[2]:
		slot = 2
		r[0], r[2] = r[2], r[0]
	default:
		slot = 3
		for slot+1 < maxSlots {
			if base, _ := slotBase(slot + 1); base > offset+2 {
				break
			}
			slot++
		}
		base, n := slotBase(slot)
		extra, bits = offset+2-base, n
		r[0], r[1], r[2] = offset, r[0], r[1]
	}
	t := lzxToken{length: length, extra: extra, bits: bits, footer: -1}
	head := length - lzxMinMatch
	if head >= lzxPrimary {
		t.footer = head - lzxPrimary
		head = lzxPrimary
	}
	t.main = lzxLiterals + slot*8 + head
	return t
}

// lengths writes code lengths as differences, with all kinds of runs.
func (e *lzxEncoder) lengths(old, lens []uint8) {
	type item struct {
		code, extra int
		bits        uint
		same        int // the code after 19, -1 for none
	}
	var items []item
	for i := 0; i < len(lens); {
		run := 1
		for i+run < len(lens) && lens[i+run] == lens[i] && run < 51 {
			run++
		}
		delta := (int(old[i]) - int(lens[i]) + 17) % 17
		switch {
		case lens[i] == 0 && run >= 20:
			items = append(items, item{18, run - 20, 5, -1})
		case lens[i] == 0 && run >= 4:
			run = min(run, 19)
			items = append(items, item{17, run - 4, 4, -1})
		case run >= 4:
			run = min(run, 5)
			items = append(items, item{19, run - 4, 1, delta})
		default:
			run = 1
			items = append(items, item{delta, 0, 0, -1})
		}
		i += run
	}
	freq := make([]int, lzxPretree)
	freq[0]++
	freq[1]++
	for _, it := range items {
		freq[it.code]++
		if it.same >= 0 {
			freq[it.same]++
		}
	}
	pre := codeLengths(freq, 15)
	for _, l := range pre {
		e.put(uint32(l), 4)
	}
	code := codes(pre)
	for _, it := range items {
		e.put(code[it.code], uint(pre[it.code]))
		e.put(uint32(it.extra), it.bits)
		if it.same >= 0 {
			e.put(code[it.same], uint(pre[it.same]))
		}
	}
	copy(old, lens)
}

// codeLengths returns lengths of a Huffman code, at most limit.
func codeLengths(freq []int, limit int) []uint8 {
	freq = append([]int(nil), freq...)
	for {
		lens, longest := huffman(freq)
		if longest <= limit {
			return lens
		}
		for i, f := range freq {
			if f > 0 {
				freq[i] = f/2 + 1
			}
		}
	}
}

func huffman(freq []int) (lens []uint8, longest int) {
	type node struct {
		weight  int
		symbols []int
	}
	var nodes []node
	lens = make([]uint8, len(freq))
	for s, f := range freq {
		if f > 0 {
			nodes = append(nodes, node{f, []int{s}})
		}
	}
	for len(nodes) > 1 {
		sort.SliceStable(nodes, func(i, j int) bool { return nodes[i].weight < nodes[j].weight })
		both := append(append([]int(nil), nodes[0].symbols...), nodes[1].symbols...)
		for _, s := range both {
			lens[s]++
			longest = max(longest, int(lens[s]))
		}
		nodes = append(nodes[2:], node{nodes[0].weight + nodes[1].weight, both})
	}
	return lens, longest
}

// codes returns canonical codes for lengths.
func codes(lens []uint8) []uint32 {
	codes := make([]uint32, len(lens))
	code := uint32(0)
	for l := uint8(1); l <= 16; l++ {
		code <<= 1
		for s := range lens {
			if lens[s] == l {
				codes[s] = code
				code++
			}
		}
	}
	return codes
}
