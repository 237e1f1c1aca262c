package xmltree

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"regexp"
	"unicode/utf16"
	"unicode/utf8"
)

// Decode returns a document that may be in UTF-16 in UTF-8, for [Parse]. What a
// document declares is often wrong: servers that write it through a string
// declare UTF-16 and send UTF-8. So its first bytes decide, and a declaration of
// UTF-16 is left out. A document in UTF-8 that declares nothing else is returned
// as it is.
func Decode(data []byte) []byte {
	switch {
	case bytes.HasPrefix(data, []byte("\xff\xfe")):
		data = decodeUTF16(data[2:], binary.LittleEndian)
	case bytes.HasPrefix(data, []byte("\xfe\xff")):
		data = decodeUTF16(data[2:], binary.BigEndian)
	case bytes.HasPrefix(data, []byte("<\x00")):
		data = decodeUTF16(data, binary.LittleEndian)
	case bytes.HasPrefix(data, []byte("\x00<")):
		data = decodeUTF16(data, binary.BigEndian)
	}
	return data[len(declaration.Find(data)):]
}

// declaration is an XML declaration that names UTF-16.
var declaration = regexp.MustCompile(`^(\x{FEFF})?\s*<\?xml\s[^<>?]{0,200}encoding\s*=\s*["'](?i:utf-?16(le|be)?|ucs-?2|iso-10646-ucs-2|unicode)["'][^<>?]{0,200}\?>`)

// decodeUTF16 returns UTF-16 text in UTF-8. A surrogate without its other half
// becomes U+FFFD, and half a character at the end is dropped.
func decodeUTF16(data []byte, order binary.ByteOrder) []byte {
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

// charset is the CharsetReader of a decoder. A declaration inside of the root
// element is a part of a value and means nothing.
func charset(name string, in io.Reader, inside bool) (io.Reader, error) {
	if inside {
		return in, nil
	}
	return nil, fmt.Errorf("the document declares the encoding %.40q, which cannot be read here", name)
}
