package traffic

import (
	"io"

	"github.com/whiteglove/whiteglove/internal/wide"
)

// A shortReader reads JSON and shortens its texts to about wide.MaxLine bytes. A capture
// has whole downloads as texts, which nobody reads.
type shortReader struct {
	r      io.Reader
	text   bool // within a text
	escape int  // bytes that are left of an escape
	drop   bool // what is read now
	n      int  // bytes of the text
}

// Read implements io.Reader.
func (s *shortReader) Read(p []byte) (int, error) {
	for {
		n, err := s.r.Read(p)
		if kept := s.shorten(p[:n]); kept > 0 || err != nil || n == 0 {
			return kept, err
		}
	}
}

// shorten removes what is too long from b, and returns how many bytes are left.
func (s *shortReader) shorten(b []byte) (kept int) {
	for _, c := range b {
		switch {
		case !s.text:
			s.text, s.n, s.drop = c == '"', 0, false
		case s.escape == len(`\uXXXX`)-1: // the first byte after the backslash
			s.escape = 0
			if c == 'u' {
				s.escape = 4
			}
		case s.escape > 0:
			s.escape--
		case c == '"':
			s.text, s.drop = false, false
		default:
			s.n++
			s.drop = s.n > wide.MaxLine
			if c == '\\' {
				s.escape = len(`\uXXXX`) - 1
			}
		}
		if !s.drop {
			b[kept] = c
			kept++
		}
	}
	return kept
}
