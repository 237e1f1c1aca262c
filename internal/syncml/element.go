package syncml

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"strings"
)

// An element is an XML element: its local name and the text directly in it.
type element struct {
	name     string
	text     []byte
	children []*element
}

// parseXML reads the first element of data and all in it.
func parseXML(data []byte) (*element, error) {
	d := xml.NewDecoder(bytes.NewReader(data))
	var stack []*element
	for count := 0; ; {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			return nil, errors.New("no element")
		}
		if err != nil {
			return nil, err
		}
		switch t := token.(type) {
		case xml.Directive:
			return nil, errors.New("document type declarations are not accepted")
		case xml.StartElement:
			if count++; count > maxElements || len(stack) == maxDepth {
				return nil, fmt.Errorf("more than %d elements or %d levels", maxElements, maxDepth)
			}
			e := &element{name: t.Name.Local}
			if n := len(stack); n > 0 {
				stack[n-1].children = append(stack[n-1].children, e)
			}
			stack = append(stack, e)
		case xml.CharData:
			if n := len(stack); n > 0 {
				stack[n-1].text = append(stack[n-1].text, t...)
			}
		case xml.EndElement:
			n := len(stack) - 1
			if n == 0 {
				return stack[0], nil
			}
			stack = stack[:n]
		}
	}
}

// is compares a local name, in any case.
func (e *element) is(name string) bool { return strings.EqualFold(e.name, name) }

// child returns the first child with a name, or nil.
func (e *element) child(name string) *element {
	if e == nil {
		return nil
	}
	for _, c := range e.children {
		if c.is(name) {
			return c
		}
	}
	return nil
}

// value returns the trimmed text at a path, or "".
func (e *element) value(path ...string) string {
	for _, name := range path {
		e = e.child(name)
	}
	if e == nil {
		return ""
	}
	return strings.TrimSpace(string(e.text))
}
