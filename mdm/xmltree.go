package mdm

import (
	"encoding/base64"
	"fmt"
	"strings"

	"github.com/whiteglove/whiteglove/internal/xmltree"
)

// Limits of what is read from a server.
const (
	maxAnswer   = 1 << 20 // bytes of an HTTP body
	maxElements = 20000   // elements in one document
)

// element is an XML element. What is marked nil in it has no text, or counts all
// the same: the specification's own example marks elements that have one.
type element = xmltree.Element

// parseXML reads the first element of data and all in it.
func parseXML(data []byte) (*element, error) {
	root, err := xmltree.Parse(data, maxElements)
	if err != nil {
		return nil, fmt.Errorf("reading XML: %w", err)
	}
	return root, nil
}

// decode64 decodes base64 that may be broken into lines.
func decode64(s string) ([]byte, error) {
	return base64.StdEncoding.DecodeString(strings.Join(strings.Fields(s), ""))
}
