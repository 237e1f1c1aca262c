package cab

import (
	"bytes"
	"compress/flate"
	"io"
)

// mszip unpacks MSZIP: each block is "CK" and a Deflate stream of its own, which may
// refer to the 32 kB before the block ([MS-MCI] section 2).
type mszip struct {
	history []byte
	inflate io.ReadCloser
}

func (m *mszip) unpack(block []byte, size int) ([]byte, error) {
	if len(block) < 2 || block[0] != 'C' || block[1] != 'K' {
		return nil, &Error{What: "signature of an MSZIP block", Err: ErrFormat}
	}
	in := bytes.NewReader(block[2:])
	if m.inflate == nil {
		m.inflate = flate.NewReader(in)
	} else if err := m.inflate.(flate.Resetter).Reset(in, m.history); err != nil {
		return nil, &Error{What: "MSZIP block", Err: err}
	}
	out := make([]byte, size)
	if _, err := io.ReadFull(m.inflate, out); err != nil {
		return nil, &Error{What: "MSZIP block", Err: ErrFormat}
	}
	if n, _ := m.inflate.Read(make([]byte, 1)); n > 0 {
		return nil, &Error{What: "MSZIP block, which is too long", Err: ErrFormat}
	}
	m.history = append(m.history, out...)
	m.history = append([]byte(nil), m.history[max(0, len(m.history)-maxBlock):]...)
	return out, nil
}
