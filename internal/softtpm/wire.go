package softtpm

import "encoding/binary"

// A reader reads the parameters of a command. It keeps its first error, after which
// everything that it reads is zero.
type reader struct {
	b   []byte
	n   int // number of the parameter being read; 0 gives plain codes
	err code
}

// at starts parameter n.
func (r *reader) at(n int) *reader {
	if r.err == 0 {
		r.n = n
	}
	return r
}

// fail records c for the current parameter.
func (r *reader) fail(c code) {
	if r.err == 0 {
		if r.n > 0 {
			c = c.param(r.n)
		}
		r.err = c
	}
	r.b = nil
}

// end checks that everything was read and returns the first error.
func (r *reader) end() code {
	if r.err == 0 && len(r.b) > 0 {
		r.err = rcSize
	}
	return r.err
}

func (r *reader) take(n int) []byte {
	if r.err != 0 {
		return nil
	}
	if len(r.b) < n {
		r.fail(rcInsufficient)
		return nil
	}
	b := r.b[:n:n]
	r.b = r.b[n:]
	return b
}

func (r *reader) u8() uint8 {
	if b := r.take(1); b != nil {
		return b[0]
	}
	return 0
}

func (r *reader) u16() uint16 {
	if b := r.take(2); b != nil {
		return binary.BigEndian.Uint16(b)
	}
	return 0
}

func (r *reader) u32() uint32 {
	if b := r.take(4); b != nil {
		return binary.BigEndian.Uint32(b)
	}
	return 0
}

// sized reads a TPM2B of at most limit bytes.
func (r *reader) sized(limit int) []byte {
	n := int(r.u16())
	if r.err == 0 && n > limit {
		r.fail(rcSize)
	}
	return r.take(n)
}

// inner reads a structure f wrapped in a TPM2B; the size must be exact. With
// must, an empty one is an error.
func (r *reader) inner(must bool, f func(*reader)) {
	n := int(r.u16())
	if r.err != 0 || n == 0 && !must {
		return
	}
	if n == 0 {
		r.fail(rcSize)
		return
	}
	before := len(r.b)
	f(r)
	if r.err == 0 && before-len(r.b) != n {
		r.fail(rcSize)
	}
}

// A writer builds a response.
type writer struct{ b []byte }

func (w *writer) u8(v uint8)   { w.b = append(w.b, v) }
func (w *writer) u16(v uint16) { w.b = binary.BigEndian.AppendUint16(w.b, v) }
func (w *writer) u32(v uint32) { w.b = binary.BigEndian.AppendUint32(w.b, v) }
func (w *writer) u64(v uint64) { w.b = binary.BigEndian.AppendUint64(w.b, v) }
func (w *writer) raw(b []byte) { w.b = append(w.b, b...) }
func (w *writer) sized(b []byte) {
	w.u16(uint16(len(b)))
	w.raw(b)
}

// be32 returns v in the order of the wire.
func be32(v uint32) []byte { return binary.BigEndian.AppendUint32(nil, v) }

// be16 returns v in the order of the wire.
func be16(v uint16) []byte { return binary.BigEndian.AppendUint16(nil, v) }
