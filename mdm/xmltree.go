package mdm

import (
	"bytes"
	"encoding/base64"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
)

// Limits of what is read from a server.
const (
	maxAnswer   = 1 << 20 // bytes of an HTTP body
	maxDepth    = 32      // elements in each other
	maxElements = 20000   // elements in one document
)

// An element is an XML element: names without prefix, text joined.
type element struct {
	space, name string
	attrs       []xml.Attr
	text        string
	children    []*element
}

// parseXML reads the first element of data and all in it. Declarations of a
// document type are refused, as is everything beyond the limits.
func parseXML(data []byte) (*element, error) {
	d := xml.NewDecoder(bytes.NewReader(data))
	var (
		stack []*element
		texts []*strings.Builder
		count int
	)
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			return nil, errors.New("no XML element")
		}
		if err != nil {
			return nil, fmt.Errorf("reading XML: %w", err)
		}
		switch t := token.(type) {
		case xml.Directive:
			return nil, errors.New("reading XML: document type declarations are not accepted")
		case xml.StartElement:
			if count++; count > maxElements || len(stack) == maxDepth {
				return nil, fmt.Errorf("reading XML: more than %d elements or %d levels", maxElements, maxDepth)
			}
			e := &element{space: t.Name.Space, name: t.Name.Local, attrs: t.Attr}
			if n := len(stack); n > 0 {
				stack[n-1].children = append(stack[n-1].children, e)
			}
			stack, texts = append(stack, e), append(texts, new(strings.Builder))
		case xml.CharData:
			if n := len(texts); n > 0 {
				texts[n-1].Write(t)
			}
		case xml.EndElement:
			n := len(stack) - 1
			stack[n].text = strings.TrimSpace(texts[n].String())
			if n == 0 {
				return stack[0], nil
			}
			stack, texts = stack[:n], texts[:n]
		}
	}
}

// is compares a local name, in any case.
func (e *element) is(name string) bool { return strings.EqualFold(e.name, name) }

// all returns the children with a local name, in any case. A nil element has
// none.
func (e *element) all(name string) []*element {
	if e == nil {
		return nil
	}
	var found []*element
	for _, c := range e.children {
		if c.is(name) {
			found = append(found, c)
		}
	}
	return found
}

// at returns the first element at a path of local names, or nil.
func (e *element) at(path ...string) *element {
	for _, name := range path {
		found := e.all(name)
		if len(found) == 0 {
			return nil
		}
		e = found[0]
	}
	return e
}

// unique checks that no two children have one name, but for those named. Of
// two that differ, nobody could say which counts.
func (e *element) unique(but ...string) error {
	if e == nil {
		return nil
	}
	seen := make(map[string]bool, len(e.children))
	for _, c := range e.children {
		name := strings.ToLower(c.name)
		if seen[name] && !slices.ContainsFunc(but, c.is) {
			return fmt.Errorf("<%.40s> is twice in <%.40s>", c.name, e.name)
		}
		seen[name] = true
	}
	return nil
}

// below returns the first descendant with a local name, or nil.
func (e *element) below(name string) *element {
	if e == nil {
		return nil
	}
	for _, c := range e.children {
		if c.is(name) {
			return c
		}
		if found := c.below(name); found != nil {
			return found
		}
	}
	return nil
}

// value returns the text at a path, or "" if there is none. What is marked nil
// has none, or counts all the same: the specification's own example marks
// elements that have a text.
func (e *element) value(path ...string) string {
	found := e.at(path...)
	if found == nil {
		return ""
	}
	return found.text
}

// attr returns an attribute by local name in any case, or "".
func (e *element) attr(name string) string {
	for _, a := range e.attrs {
		if strings.EqualFold(a.Name.Local, name) {
			return a.Value
		}
	}
	return ""
}

// decode64 decodes base64 that may be broken into lines.
func decode64(s string) ([]byte, error) {
	return base64.StdEncoding.DecodeString(strings.Join(strings.Fields(s), ""))
}
