// Package wide reads text in UTF-16, in which Windows and its tools write much.
package wide

import (
	"encoding/binary"
	"unicode/utf16"
	"unicode/utf8"
)

// Decode returns UTF-16 text in UTF-8. A surrogate without its other half becomes
// U+FFFD, and half a character at the end is dropped. A byte order mark is the
// caller's to remove.
func Decode(data []byte, order binary.ByteOrder) []byte {
	text := make([]byte, 0, len(data))
	for ; len(data) > 1; data = data[2:] {
		r := rune(order.Uint16(data))
		if utf16.IsSurrogate(r) {
			second := rune(utf8.RuneError)
			if len(data) > 3 {
				second = rune(order.Uint16(data[2:]))
			}
			if r = utf16.DecodeRune(r, second); r != utf8.RuneError {
				data = data[2:]
			}
		}
		text = utf8.AppendRune(text, r)
	}
	return text
}
