package wide

import (
	"bufio"
	"bytes"
	"io"
	"unicode/utf16"
	"unicode/utf8"
)

// UTF8 returns a reader of text as UTF-8, without a byte order mark. The text may be
// in UTF-16, which a mark or a zero among the first two bytes shows. Bytes that are
// no UTF-8 are taken for Latin 1.
func UTF8(r io.Reader) io.Reader {
	b := bufio.NewReaderSize(r, 4096)
	head, _ := b.Peek(3)
	switch {
	case bytes.HasPrefix(head, []byte{0xEF, 0xBB, 0xBF}):
		b.Discard(3)
	case bytes.HasPrefix(head, []byte{0xFF, 0xFE}):
		b.Discard(2)
		return &utf16Reader{r: b}
	case bytes.HasPrefix(head, []byte{0xFE, 0xFF}):
		b.Discard(2)
		return &utf16Reader{r: b, big: true}
	case len(head) >= 2 && head[0] != 0 && head[1] == 0:
		return &utf16Reader{r: b}
	}
	return &latinReader{r: b}
}

type utf16Reader struct {
	r    *bufio.Reader
	big  bool
	rest []byte
	last rune // a surrogate that waits for the next, or 0
}

func (u *utf16Reader) Read(p []byte) (int, error) {
	for len(u.rest) == 0 {
		var b [2]byte
		if _, err := io.ReadFull(u.r, b[:]); err != nil {
			return 0, err
		}
		c := rune(b[0]) | rune(b[1])<<8
		if u.big {
			c = rune(b[1]) | rune(b[0])<<8
		}
		switch {
		case c >= 0xD800 && c < 0xDC00:
			u.last = c
			continue
		case u.last != 0:
			c = utf16.DecodeRune(u.last, c)
			u.last = 0
		}
		u.rest = utf8.AppendRune(u.rest[:0], c)
	}
	n := copy(p, u.rest)
	u.rest = u.rest[n:]
	// Fill p as far as that needs no waiting.
	for n < len(p)-utf8.UTFMax && u.last == 0 && u.r.Buffered() >= 2 && len(u.rest) == 0 {
		b, _ := u.r.Peek(2)
		c := rune(b[0]) | rune(b[1])<<8
		if u.big {
			c = rune(b[1]) | rune(b[0])<<8
		}
		if utf16.IsSurrogate(c) {
			break
		}
		u.r.Discard(2)
		n += utf8.EncodeRune(p[n:], c)
	}
	return n, nil
}

type latinReader struct {
	r    *bufio.Reader
	rest []byte
}

func (l *latinReader) Read(p []byte) (int, error) {
	if len(l.rest) > 0 {
		n := copy(p, l.rest)
		l.rest = l.rest[n:]
		return n, nil
	}
	if len(p) < utf8.UTFMax {
		var b [64]byte
		n, err := l.Read(b[:])
		l.rest = append(l.rest, b[:n]...)
		if n > 0 {
			return l.Read(p)
		}
		return 0, err
	}
	head, err := l.r.Peek(utf8.UTFMax)
	if len(head) == 0 {
		return 0, err
	}
	if n := l.r.Buffered(); n > len(head) {
		head, _ = l.r.Peek(n)
	}
	n, used := 0, 0
	for used < len(head) && n <= len(p)-utf8.UTFMax {
		if used > len(head)-utf8.UTFMax && used > 0 && !utf8.FullRune(head[used:]) {
			break
		}
		c, size := utf8.DecodeRune(head[used:])
		if c == utf8.RuneError && size == 1 {
			c = rune(head[used])
		}
		n += utf8.EncodeRune(p[n:], c)
		used += size
	}
	l.r.Discard(used)
	return n, nil
}
