package attest

import "encoding/binary"

// maxStructure limits a structure from outside, in bytes. The largest real one, a
// TPMT_PUBLIC with an RSA 4096 key, has under 700.
const maxStructure = 4096

// A reader reads big-endian TPM structures (TCG Part 2) from untrusted bytes. If
// there are too few bytes or a limit is exceeded, it is bad from then on, so callers
// ask only once, at the end, with done.
type reader struct {
	b   []byte
	bad bool
}

// newReader returns a reader of b. It is bad if b is longer than maxStructure.
func newReader(b []byte) reader {
	return reader{b: b, bad: len(b) > maxStructure}
}

// take returns the next n bytes, which share memory with the input, or nil.
func (r *reader) take(n int) []byte {
	if r.bad || n > len(r.b) {
		r.bad = true
		return nil
	}
	v := r.b[:n:n]
	r.b = r.b[n:]
	return v
}

func (r *reader) u8() byte {
	if v := r.take(1); v != nil {
		return v[0]
	}
	return 0
}

func (r *reader) u16() uint16 {
	if v := r.take(2); v != nil {
		return binary.BigEndian.Uint16(v)
	}
	return 0
}

func (r *reader) u32() uint32 {
	if v := r.take(4); v != nil {
		return binary.BigEndian.Uint32(v)
	}
	return 0
}

func (r *reader) u64() uint64 { return uint64(r.u32())<<32 | uint64(r.u32()) }

// sized returns the contents of a TPM2B of at most limit bytes.
func (r *reader) sized(limit int) []byte {
	n := int(r.u16())
	if n > limit {
		r.bad = true
	}
	return r.take(n)
}

// done reports whether the input was good and all of it was read.
func (r *reader) done() bool { return !r.bad && len(r.b) == 0 }

// appendSized appends v as a TPM2B.
func appendSized(b, v []byte) []byte {
	b = binary.BigEndian.AppendUint16(b, uint16(len(v)))
	return append(b, v...)
}

// unsized returns the contents of b if b is exactly one TPM2B.
func unsized(b []byte) ([]byte, bool) {
	r := newReader(b)
	v := r.sized(maxStructure)
	return v, r.done()
}
