package xmltree

import (
	"bytes"
	"fmt"
)

// checkAttributes returns an error if a tag in data has too many attributes, or
// all tags have. It reads no more of XML than it needs to find them, and leaves
// other errors to the decoder.
func checkAttributes(data []byte) error {
	all := 0
	for {
		start := bytes.IndexByte(data, '<')
		if start < 0 {
			return nil
		}
		data = data[start:]
		var n int
		switch {
		case bytes.HasPrefix(data, []byte("<!--")):
			data = after(data[4:], "-->")
		case bytes.HasPrefix(data, []byte("<![CDATA[")):
			data = after(data, "]]>")
		case bytes.HasPrefix(data, []byte("<!")):
			return nil // a declaration, at which Parse ends
		case bytes.HasPrefix(data, []byte("<?")):
			data = after(data[2:], "?>")
		default:
			n, data = attributes(data[1:])
		}
		if all += n; n > maxAttributes || all > maxAllAttributes {
			return fmt.Errorf("more than %d attributes of an element or %d of all", maxAttributes, maxAllAttributes)
		}
	}
}

// after returns what follows the first end in data, or nothing.
func after(data []byte, end string) []byte {
	_, rest, _ := bytes.Cut(data, []byte(end))
	return rest
}

// attributes returns the number of attributes in the tag that data begins with,
// and what follows the tag. It stops counting where there are too many.
func attributes(data []byte) (n int, rest []byte) {
	for i := 0; i < len(data) && n <= maxAttributes; i++ {
		switch c := data[i]; c {
		case '>':
			return n, data[i+1:]
		case '=':
			n++
		case '"', '\'':
			end := bytes.IndexByte(data[i+1:], c)
			if end < 0 {
				return n, nil
			}
			i += 1 + end
		}
	}
	return n, nil
}
