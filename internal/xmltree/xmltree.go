// Package xmltree reads XML of a server's into a tree, with limits.
package xmltree

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
)

// MaxDepth is how many elements may be in each other.
const MaxDepth = 32

// An Element is an XML element: names without prefix, and the text directly in
// it, joined.
type Element struct {
	Space, Name string
	Attrs       []xml.Attr
	Text        []byte
	Children    []*Element
}

// Parse reads the first element of data and all in it, at most so many elements.
// Declarations of a document type are refused.
func Parse(data []byte, most int) (*Element, error) {
	d := xml.NewDecoder(bytes.NewReader(data))
	var stack []*Element
	for count := 0; ; {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			return nil, errors.New("no XML element")
		}
		if err != nil {
			return nil, err
		}
		n := len(stack)
		switch t := token.(type) {
		case xml.Directive:
			return nil, errors.New("document type declarations are not accepted")
		case xml.StartElement:
			if count++; count > most || n == MaxDepth {
				return nil, fmt.Errorf("more than %d elements or %d levels", most, MaxDepth)
			}
			e := &Element{Space: t.Name.Space, Name: t.Name.Local, Attrs: t.Attr}
			if n > 0 {
				stack[n-1].Children = append(stack[n-1].Children, e)
			}
			stack = append(stack, e)
		case xml.CharData:
			if n > 0 {
				stack[n-1].Text = append(stack[n-1].Text, t...)
			}
		case xml.EndElement:
			if n == 1 {
				return stack[0], nil
			}
			stack = stack[:n-1]
		}
	}
}

// Is compares a local name, in any case.
func (e *Element) Is(name string) bool { return strings.EqualFold(e.Name, name) }

// All returns the children with a local name, in any case. A nil element has
// none.
func (e *Element) All(name string) []*Element {
	if e == nil {
		return nil
	}
	var found []*Element
	for _, c := range e.Children {
		if c.Is(name) {
			found = append(found, c)
		}
	}
	return found
}

// At returns the first element at a path of local names, or nil.
func (e *Element) At(path ...string) *Element {
	for _, name := range path {
		found := e.All(name)
		if len(found) == 0 {
			return nil
		}
		e = found[0]
	}
	return e
}

// Unique checks that no two children have one name, but for those named. Of
// two that differ, nobody could say which counts.
func (e *Element) Unique(but ...string) error {
	if e == nil {
		return nil
	}
	seen := make(map[string]bool, len(e.Children))
	for _, c := range e.Children {
		name := strings.ToLower(c.Name)
		if seen[name] && !slices.ContainsFunc(but, c.Is) {
			return fmt.Errorf("<%.40s> is twice in <%.40s>", c.Name, e.Name)
		}
		seen[name] = true
	}
	return nil
}

// Below returns the first descendant with a local name, or nil.
func (e *Element) Below(name string) *Element {
	if e == nil {
		return nil
	}
	for _, c := range e.Children {
		if c.Is(name) {
			return c
		}
		if found := c.Below(name); found != nil {
			return found
		}
	}
	return nil
}

// Value returns the text at a path without space around it, or "" if there is
// none.
func (e *Element) Value(path ...string) string {
	found := e.At(path...)
	if found == nil {
		return ""
	}
	return strings.TrimSpace(string(found.Text))
}

// Attr returns an attribute by local name in any case, or "".
func (e *Element) Attr(name string) string {
	for _, a := range e.Attrs {
		if strings.EqualFold(a.Name.Local, name) {
			return a.Value
		}
	}
	return ""
}
