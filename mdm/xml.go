package mdm

import (
	"encoding/base64"
	"strings"

	"github.com/whiteglove/whiteglove/internal/xmltree"
)

// maxAnswer bounds what is read from a server, in bytes.
const maxAnswer = 1 << 20

// element is an XML element. What is marked nil in it has no text, or counts all
// the same: the specification's own example marks elements that have one.
type element = xmltree.Element

// decode64 decodes base64 that may be broken into lines.
func decode64(s string) ([]byte, error) {
	return base64.StdEncoding.DecodeString(strings.Join(strings.Fields(s), ""))
}
