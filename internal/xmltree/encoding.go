package xmltree

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"regexp"

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
	return data[len(declaration.Find(data)):]
}

// declaration is an XML declaration that names UTF-16.
var declaration = regexp.MustCompile(`^(\x{FEFF})?\s*<\?xml\s[^<>?]{0,200}encoding\s*=\s*["'](?i:utf-?16(le|be)?|ucs-?2|iso-10646-ucs-2|unicode)["'][^<>?]{0,200}\?>`)

// charset is the CharsetReader of a decoder. A declaration inside of the root
// element is a part of a value and means nothing.
func charset(name string, in io.Reader, inside bool) (io.Reader, error) {
	if inside {
		return in, nil
	}
	return nil, fmt.Errorf("the document declares the encoding %.40q, which cannot be read here", name)
}
