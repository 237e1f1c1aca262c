package mdm

import (
	"encoding/base64"
	"strings"

	"github.com/whiteglove/whiteglove/internal/xmltree"
)

// maxAnswer bounds what is read from a server, in bytes.
const maxAnswer = 1 << 20

// An element is an XML element. The attribute xsi:nil is ignored, because an
// example in the specification sets it on elements with text.
type element = xmltree.Element

// decode64 decodes base64 with white space in it.
func decode64(s string) ([]byte, error) {
	return base64.StdEncoding.DecodeString(strings.Join(strings.Fields(s), ""))
}
