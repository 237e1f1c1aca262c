package xmltree

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/whiteglove/whiteglove/internal/wide"
)

// Decode returns a document that may be in UTF-16 in UTF-8, for [Parse]. What a
// document declares is often wrong: servers that write it through a string
// declare UTF-16 and send UTF-8. So its first bytes decide, and a declaration of
// UTF-16 is left out. A document in UTF-8 that declares nothing else is returned
// as it is.
func Decode(data []byte) []byte {
	switch {
	case bytes.HasPrefix(data, []byte("\xff\xfe")):
		data = wide.Decode(data[2:], binary.LittleEndian)
	case bytes.HasPrefix(data, []byte("\xfe\xff")):
		data = wide.Decode(data[2:], binary.BigEndian)
	case bytes.HasPrefix(data, []byte("<\x00")):
		data = wide.Decode(data, binary.LittleEndian)
	case bytes.HasPrefix(data, []byte("\x00<")):
		data = wide.Decode(data, binary.BigEndian)
	}
	return data[declaration(data):]
}

// The parts of an XML declaration beside the name of its encoding are not longer than
// this, in characters.
const maxDeclared = 200

// declaration returns the length of the XML declaration with which a document
// begins, and of what stands before it, if the declaration names UTF-16. Otherwise
// it returns 0.
func declaration(data []byte) int {
	rest, ok := bytes.CutPrefix(trimSpace(bytes.TrimPrefix(data, []byte("\ufeff"))), []byte("<?xml"))
	end := bytes.IndexAny(rest, "<>?")
	if !ok || end < 1 || !isSpace(rest[0]) || !bytes.HasPrefix(rest[end:], []byte("?>")) {
		return 0
	}
	length := len(data) - len(rest) + end + len("?>")
	inner := rest[1:end]
	for at := 0; ; at++ {
		next := bytes.Index(inner[at:], []byte("encoding"))
		if next < 0 {
			return 0
		}
		at += next
		before, after := inner[:at], inner[at+len("encoding"):]
		if utf8.RuneCount(before) > maxDeclared {
			return 0
		}
		if after, ok = declaresUTF16(after); ok && utf8.RuneCount(after) <= maxDeclared {
			return length
		}
	}
}

// declaresUTF16 reports whether text begins with an equals sign and the quoted name of
// an encoding of 16-bit units. It returns what follows.
func declaresUTF16(text []byte) (after []byte, ok bool) {
	text, ok = bytes.CutPrefix(trimSpace(text), []byte("="))
	text = trimSpace(text)
	if !ok || len(text) == 0 || text[0] != '"' && text[0] != '\'' {
		return nil, false
	}
	end := bytes.IndexAny(text[1:], `"'`)
	if end < 0 {
		return nil, false
	}
	switch strings.ToLower(string(text[1 : 1+min(end, 20)])) {
	case "utf-16", "utf-16le", "utf-16be", "utf16", "utf16le", "utf16be", "ucs-2", "ucs2", "iso-10646-ucs-2", "unicode":
		return text[1+end+1:], true
	}
	return nil, false
}

// trimSpace returns text without the white space at its start.
func trimSpace(text []byte) []byte { return bytes.TrimLeft(text, "\t\n\f\r ") }

// isSpace reports whether c is white space.
func isSpace(c byte) bool { return strings.IndexByte("\t\n\f\r ", c) >= 0 }

// charset is the CharsetReader of a decoder. A declaration inside of the root
// element is a part of a value and means nothing.
func charset(name string, in io.Reader, inside bool) (io.Reader, error) {
	if inside {
		return in, nil
	}
	return nil, fmt.Errorf("the document declares the encoding %.40q, which cannot be read here", name)
}
