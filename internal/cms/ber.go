package cms

import "fmt"

// DER returns ber with definite lengths of minimal size and with constructed
// OCTET STRINGs joined. If ber has that form already, it is returned itself, not
// a copy. Unlike real DER, the result keeps the order of sets and the contents of
// primitive values. It takes linear time. The error wraps [ErrMalformed] if ber
// is not one whole object or exceeds a limit.
func DER(ber []byte) ([]byte, error) {
	der, _, err := rewrite(ber)
	return der, err
}

// rewrite is DER. It also returns how many headers it read. Reading a header
// takes constant time; apart from that, each value is copied once.
func rewrite(ber []byte) (der []byte, headers int, err error) {
	if len(ber) > MaxSize {
		return nil, 0, fmt.Errorf("cms: %w: over %d bytes", ErrMalformed, MaxSize)
	}
	var m measure
	size, rest, err := m.element(ber, 1)
	switch {
	case err != nil:
		return nil, m.headers, fmt.Errorf("cms: %w: %w", ErrMalformed, err)
	case len(rest) > 0:
		return nil, m.headers, fmt.Errorf("cms: %w: %d bytes after the object", ErrMalformed, len(rest))
	case !m.changed:
		return ber, m.headers, nil
	}
	w := writer{lengths: m.lengths, out: make([]byte, 0, size)}
	w.element(ber)
	return w.out, m.headers + w.headers, nil
}

const (
	classMask     = 0xC0
	constructed   = 0x20
	numberMask    = 0x1F
	tagOctets     = 0x04
	tagSequence   = 0x10
	tagSet        = 0x11
	tagConOctets  = tagOctets | constructed
	indefinite    = 0x80
	maxTagOctets  = 4
	maxSizeOctets = 4
)

// A header is an identifier and a length.
type header struct {
	tag    []byte
	length int // -1 if indefinite
	size   int // of the header itself
}

func (h *header) constructed() bool { return h.tag[0]&constructed != 0 }
func (h *header) octets() bool      { return h.tag[0] == tagConOctets }

// readHeader reads the header of the first element of b. minimal reports whether
// its length is definite and has the form of DER.
func readHeader(b []byte) (h header, minimal bool, err error) {
	if len(b) < 2 {
		return h, false, errTruncated
	}
	n := 1
	if b[0]&numberMask == numberMask {
		for {
			if n == len(b) || n > maxTagOctets {
				return h, false, errTag
			}
			n++
			if b[n-1]&0x80 == 0 {
				break
			}
		}
	}
	h.tag = b[:n]
	if n == len(b) {
		return h, false, errTruncated
	}
	first := b[n]
	n++
	switch {
	case first < 0x80:
		h.length = int(first)
	case first == indefinite:
		h.length = -1
		if !h.constructed() {
			return h, false, errIndefinite
		}
	default:
		k := int(first & 0x7F)
		// BER permits leading zeros; a few are accepted.
		if k > 2*maxSizeOctets || len(b) < n+k {
			return h, false, errLength
		}
		for _, c := range b[n : n+k] {
			if h.length >= MaxSize {
				return h, false, errLength
			}
			h.length = h.length<<8 | int(c)
		}
		n += k
	}
	h.size = n
	if h.length > len(b)-n {
		return h, false, errTruncated
	}
	return h, h.length >= 0 && n == len(h.tag)+lengthSize(h.length), nil
}

var (
	errTruncated  = berError("truncated")
	errTag        = berError("tag too long")
	errLength     = berError("bad length")
	errIndefinite = berError("indefinite length of a primitive value")
	errDepth      = berError("nested too deeply")
	errForm       = berError("constructed form of a primitive type")
	errSegment    = berError("segment of an OCTET STRING is not an OCTET STRING")
	errEnd        = berError("end-of-contents octets out of place")
)

// A berError says what is wrong with the structure of BER.
type berError string

func (e berError) Error() string { return string(e) }

// measure is the first pass. It checks the structure and records the length that
// each constructed element will have, in the order in which they begin.
type measure struct {
	lengths []int
	headers int  // read so far
	changed bool // the result will differ from the input
}

// element returns the size that the first element of b will have, and the bytes
// after that element.
func (m *measure) element(b []byte, depth int) (size int, rest []byte, err error) {
	if depth > MaxDepth {
		return 0, nil, errDepth
	}
	m.headers++
	h, minimal, err := readHeader(b)
	if err != nil {
		return 0, nil, err
	}
	if h.tag[0] == 0 {
		return 0, nil, errEnd
	}
	m.changed = m.changed || !minimal
	body := b[h.size:]
	if !h.constructed() {
		return len(h.tag) + lengthSize(h.length) + h.length, body[h.length:], nil
	}
	if t := h.tag[0]; t&classMask == 0 && !h.octets() && t&numberMask != tagSequence && t&numberMask != tagSet {
		return 0, nil, errForm
	}
	slot := len(m.lengths)
	m.lengths = append(m.lengths, 0)
	var length int
	if h.octets() {
		m.changed = true
		length, rest, err = m.segments(&h, body, depth+1)
	} else {
		length, rest, err = m.children(&h, body, depth+1)
	}
	if err != nil {
		return 0, nil, err
	}
	m.lengths[slot] = length
	return len(h.tag) + lengthSize(length) + length, rest, nil
}

// children returns the total size that the elements in h will have.
func (m *measure) children(h *header, body []byte, depth int) (length int, rest []byte, err error) {
	err = h.each(body, &rest, func(b []byte) ([]byte, error) {
		n, after, err := m.element(b, depth)
		length += n
		return after, err
	})
	return length, rest, err
}

// segments returns the total length of the OCTET STRINGs in the constructed
// OCTET STRING h.
func (m *measure) segments(h *header, body []byte, depth int) (length int, rest []byte, err error) {
	if depth > MaxDepth {
		return 0, nil, errDepth
	}
	err = h.each(body, &rest, func(b []byte) ([]byte, error) {
		m.headers++
		s, _, err := readHeader(b)
		if err != nil {
			return nil, err
		}
		switch s.tag[0] {
		case tagOctets:
			length += s.length
			return b[s.size+s.length:], nil
		case tagConOctets:
			n, after, err := m.segments(&s, b[s.size:], depth+1)
			length += n
			return after, err
		}
		return nil, errSegment
	})
	return length, rest, err
}

// each calls f for each element in h, with the contents of h from that element
// on; f returns the contents after it. each sets rest to the bytes after h.
func (h *header) each(body []byte, rest *[]byte, f func([]byte) ([]byte, error)) error {
	if h.length >= 0 {
		*rest, body = body[h.length:], body[:h.length]
		for len(body) > 0 {
			var err error
			if body, err = f(body); err != nil {
				return err
			}
		}
		return nil
	}
	for {
		if len(body) >= 2 && body[0] == 0 && body[1] == 0 {
			*rest = body[2:]
			return nil
		}
		var err error
		if body, err = f(body); err != nil {
			return err
		}
	}
}

// writer is the second pass. Its input has passed measure.
type writer struct {
	lengths []int
	headers int // read so far
	out     []byte
}

// element writes the first element of b and returns the bytes after it.
func (w *writer) element(b []byte) (rest []byte) {
	w.headers++
	h, _, err := readHeader(b)
	if err != nil {
		return nil
	}
	body := b[h.size:]
	if !h.constructed() {
		w.header(h.tag, h.length)
		w.out = append(w.out, body[:h.length]...)
		return body[h.length:]
	}
	length := w.lengths[0]
	w.lengths = w.lengths[1:]
	if h.octets() {
		w.header([]byte{tagOctets}, length)
		return w.segments(&h, body)
	}
	w.header(h.tag, length)
	_ = h.each(body, &rest, func(b []byte) ([]byte, error) { return w.element(b), nil })
	return rest
}

// segments writes the contents of the OCTET STRINGs in h.
func (w *writer) segments(h *header, body []byte) (rest []byte) {
	_ = h.each(body, &rest, func(b []byte) ([]byte, error) {
		w.headers++
		s, _, err := readHeader(b)
		if err != nil {
			return nil, err
		}
		if s.constructed() {
			return w.segments(&s, b[s.size:]), nil
		}
		w.out = append(w.out, b[s.size:s.size+s.length]...)
		return b[s.size+s.length:], nil
	})
	return rest
}

// header writes a header in DER.
func (w *writer) header(tag []byte, length int) {
	w.out = append(w.out, tag...)
	if length < 0x80 {
		w.out = append(w.out, byte(length))
		return
	}
	n := lengthSize(length) - 1
	w.out = append(w.out, 0x80|byte(n))
	for i := n - 1; i >= 0; i-- {
		w.out = append(w.out, byte(length>>(8*i)))
	}
}

// lengthSize returns how many octets a length has in DER.
func lengthSize(n int) int {
	size := 1
	if n >= 0x80 {
		for ; n > 0; n >>= 8 {
			size++
		}
	}
	return size
}
