package cab

import (
	"encoding/binary"
	"errors"
	"io"
)

// Counts of symbols, lengths and block types of LZX.
const (
	lzxLiterals  = 256
	lzxLengths   = 249
	lzxAligned   = 8
	lzxPretree   = 20
	lzxPrimary   = 7 // lengths that the main tree has itself
	lzxMinMatch  = 2
	maxSlots     = 50
	lzxVerbatim  = 1
	lzxAlignedBl = 2
	lzxRaw       = 3
	noCallsAfter = 32768 // frames in which addresses of calls are translated
)

// lzxSlots are position slots for windows of 2^15 to 2^21 bytes.
var lzxSlots = [...]int{30, 32, 34, 36, 38, 42, 50}

// lzx unpacks LZX as cabinets have it: blocks of 32 kB, each of whole words, with
// one window, trees and repeated offsets for the whole folder.
type lzx struct {
	bits     lzxBits
	window   []byte
	at       int   // where the next byte goes in window
	written  int64 // bytes of whole frames
	total    int64 // bytes put
	recent   [3]uint32
	started  bool
	calls    uint32 // size for the translation of calls, 0 for none
	kind     int    // of the current block
	left     int    // bytes left in it
	pad      bool   // a raw block of odd length was read
	slots    int
	mainLens [lzxLiterals + 8*maxSlots]uint8
	lenLens  [lzxLengths]uint8
	main     tree
	length   tree
	aligned  tree
	pre      tree
}

// reset starts a stream with a window of 2^bits bytes. The window need not be
// cleared, for no match may reach back beyond the start.
func (d *lzx) reset(bits int) {
	window := d.window
	if cap(window) < 1<<bits {
		window = make([]byte, 1<<bits)
	}
	*d = lzx{window: window[:1<<bits], slots: lzxSlots[bits-15], recent: [3]uint32{1, 1, 1}}
}

// lzxError returns an error of the package for a fault in LZX.
func lzxError(err error) error {
	if err == io.ErrUnexpectedEOF {
		return &Error{What: "LZX", Err: err}
	}
	return &Error{What: "LZX: " + err.Error(), Err: ErrFormat}
}

// unpack decodes a frame of size bytes. What the last frame left unread comes before
// block.
func (d *lzx) unpack(block []byte, size int) ([]byte, error) {
	d.bits.in = append(append([]byte(nil), d.bits.in[min(d.bits.pos, len(d.bits.in)):]...), block...)
	if len(d.bits.in) > 2*maxCompressed {
		return nil, lzxError(errors.New("a frame is too long"))
	}
	d.bits.pos = 0
	if !d.started {
		d.started = true
		if d.bits.read(1) == 1 {
			d.calls = d.bits.read(16)<<16 | d.bits.read(16)
		}
	}
	start := d.at
	for n := 0; n < size; {
		if d.left == 0 {
			if err := d.header(); err != nil {
				return nil, lzxError(err)
			}
		}
		run := min(d.left, size-n)
		var err error
		if d.kind == lzxRaw {
			err = d.copyRaw(run)
		} else {
			err = d.matches(run)
		}
		if err != nil {
			return nil, lzxError(err)
		}
		d.left -= run
		n += run
	}
	if d.bits.over() {
		return nil, lzxError(io.ErrUnexpectedEOF)
	}
	d.bits.align()
	out := d.copyOut(start, size)
	d.translate(out)
	d.written += int64(size)
	return out, nil
}

// header reads the header and the trees of a block.
func (d *lzx) header() error {
	b := &d.bits
	if d.pad {
		b.pos++
		d.pad = false
	}
	d.kind = int(b.read(3))
	d.left = int(b.read(24))
	if d.left == 0 {
		return errors.New("a block has no bytes")
	}
	switch d.kind {
	case lzxVerbatim:
	case lzxAlignedBl:
		var lens [lzxAligned]uint8
		for i := range lens {
			lens[i] = uint8(b.read(3))
		}
		if !d.aligned.build(lens[:]) || d.aligned.empty {
			return errors.New("the tree of aligned offsets is no code")
		}
	case lzxRaw:
		return d.rawHeader()
	default:
		return errors.New("a block has an unknown type")
	}
	if err := d.readLengths(d.mainLens[:lzxLiterals]); err != nil {
		return err
	}
	if err := d.readLengths(d.mainLens[lzxLiterals : lzxLiterals+8*d.slots]); err != nil {
		return err
	}
	if !d.main.build(d.mainLens[:lzxLiterals+8*d.slots]) || d.main.empty {
		return errors.New("the main tree is no code")
	}
	if err := d.readLengths(d.lenLens[:]); err != nil {
		return err
	}
	if !d.length.build(d.lenLens[:]) {
		return errors.New("a tree of lengths is no code")
	}
	return nil
}

// rawHeader reads the repeated offsets of an uncompressed block. One to sixteen bits
// come before them.
func (d *lzx) rawHeader() error {
	b := &d.bits
	if b.n%16 == 0 {
		b.read(16)
	}
	b.align()
	if b.pos+12 > len(b.in) {
		return io.ErrUnexpectedEOF
	}
	for i := range d.recent {
		d.recent[i] = binary.LittleEndian.Uint32(b.in[b.pos:])
		b.pos += 4
	}
	d.pad = d.left%2 == 1
	return nil
}

// readLengths reads code lengths, which are differences from those of the block
// before and are themselves in a Huffman code.
func (d *lzx) readLengths(lens []uint8) error {
	b := &d.bits
	var pre [lzxPretree]uint8
	for i := range pre {
		pre[i] = uint8(b.read(4))
	}
	if !d.pre.build(pre[:]) || d.pre.empty {
		return errors.New("a tree of lengths is no code")
	}
	for i := 0; i < len(lens); {
		run, value, code := 1, uint8(0), d.pre.decode(b)
		switch code {
		case 17:
			run = int(b.read(4)) + 4
		case 18:
			run = int(b.read(5)) + 20
		case 19:
			run = int(b.read(1)) + 4
			code = d.pre.decode(b)
			if code > 16 {
				return errors.New("a run of code lengths is too long")
			}
			fallthrough
		default:
			value = uint8((int(lens[i]) - code + 17) % 17)
		}
		if run > len(lens)-i || b.over() {
			return errors.New("a run of code lengths is too long")
		}
		for ; run > 0; run-- {
			lens[i] = value
			i++
		}
	}
	return nil
}

// copyRaw copies n bytes of an uncompressed block.
func (d *lzx) copyRaw(n int) error {
	b := &d.bits
	if len(b.in)-b.pos < n {
		return io.ErrUnexpectedEOF
	}
	for range n {
		d.put(b.in[b.pos])
		b.pos++
	}
	return nil
}

func (d *lzx) put(c byte) {
	d.window[d.at] = c
	d.total++
	d.at = (d.at + 1) & (len(d.window) - 1)
}

// copyOut returns size bytes of the window from an index on.
func (d *lzx) copyOut(start, size int) []byte {
	out := make([]byte, size)
	n := copy(out, d.window[start:])
	copy(out[n:], d.window)
	return out
}

// translate turns absolute targets of x86 calls back into relative ones. The last
// ten bytes of a frame are left alone.
func (d *lzx) translate(out []byte) {
	if d.calls == 0 || len(out) <= 10 || d.written >= noCallsAfter*maxBlock {
		return
	}
	le, size := binary.LittleEndian, int32(d.calls)
	for i := 0; i < len(out)-10; {
		if out[i] != 0xE8 {
			i++
			continue
		}
		at, target := int32(d.written)+int32(i), int32(le.Uint32(out[i+1:]))
		if target >= -at && target < size {
			if target >= 0 {
				target -= at
			} else {
				target += size
			}
			le.PutUint32(out[i+1:], uint32(target))
		}
		i += 5
	}
}
