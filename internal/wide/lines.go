package wide

import (
	"bufio"
	"io"
	"strings"
)

// MaxLine is how many bytes of a line Lines takes.
const MaxLine = 64 << 10

// Lines calls line for each line of a text, with its number from 1 and without its
// end. The text is read as by [UTF8]. Of a line that is longer than MaxLine the rest
// is skipped, and a last line without an end counts. The error is that of r.
func Lines(r io.Reader, line func(n int, s string)) error {
	b := bufio.NewReaderSize(UTF8(r), MaxLine)
	for n := 1; ; n++ {
		s, err := b.ReadSlice('\n')
		if len(s) > 0 {
			line(n, strings.TrimRight(string(s), "\r\n"))
		}
		for err == bufio.ErrBufferFull {
			_, err = b.ReadSlice('\n')
		}
		switch err {
		case nil:
		case io.EOF, io.ErrUnexpectedEOF:
			return nil
		default:
			return err
		}
	}
}
