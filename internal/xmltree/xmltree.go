// Package xmltree reads XML from servers into a tree, with limits. It looks
// elements up by local name in any letter case, because public servers get
// namespaces and case wrong.
package xmltree

import (
	"bytes"
	"cmp"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/whiteglove/whiteglove/internal/wire"
)

// Limits of a document.
const (
	MaxDepth = 32 // levels of elements

	maxAttributes    = 64    // attributes of one element
	maxAllAttributes = 50000 // attributes of all elements
)

// An Element is an XML element. Methods that look for something in it may be
// called on a nil Element, in which there is nothing, except Is and Attr.
type Element struct {
	Space, Name string     // namespace and local name
	Attrs       []xml.Attr // attributes, in order
	Text        []byte     // the text directly in the element, joined
	Inner       []byte     // all that is between the tags, as in the document; a part of what Parse was given
	Children    []*Element // the elements directly in it, in order
	Scope       *Scope     // the namespaces declared where its content begins
}

// A Scope holds declarations of namespaces. Nil holds none.
type Scope struct {
	outer       *Scope
	prefix, uri string
}

// Namespace returns the namespace that is declared for a prefix, or "" if there
// is none. The empty prefix is that of the default namespace.
func (s *Scope) Namespace(prefix string) string {
	for ; s != nil; s = s.outer {
		if s.prefix == prefix {
			return s.uri
		}
	}
	return ""
}

// with returns s with the declarations among the attributes of an element.
func (s *Scope) with(attrs []xml.Attr) *Scope {
	for _, a := range attrs {
		switch {
		case a.Name.Space == "xmlns":
			s = &Scope{s, a.Name.Local, a.Value}
		case a.Name.Space == "" && a.Name.Local == "xmlns":
			s = &Scope{s, "", a.Value}
		}
	}
	return s
}

// Parse reads the first element in data with everything in it: at most as many
// elements as most says, [MaxDepth] levels, and 64 attributes of an element.
// Data after the element is ignored. It must be in UTF-8, see [Decode]. The error
// is that of [xml.Decoder.Token], or one of no exported type if data has too many
// elements or attributes, a document type declaration, another encoding, or no
// element.
func Parse(data []byte, most int) (*Element, error) {
	if err := checkAttributes(data); err != nil { // the decoder would read them all first
		return nil, err
	}
	var stack []*Element
	var foreign error // the encoding that cannot be read
	d := xml.NewDecoder(bytes.NewReader(data))
	d.CharsetReader = func(name string, in io.Reader) (r io.Reader, err error) {
		r, foreign = charset(name, in, len(stack) > 0)
		return r, foreign
	}
	var starts []int64 // where the contents of the elements in stack begin
	for count := 0; ; {
		at := d.InputOffset()
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			return nil, errors.New("no XML element")
		}
		if err != nil {
			return nil, cmp.Or(foreign, printable(err))
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
			var outer *Scope
			if n > 0 {
				stack[n-1].Children = append(stack[n-1].Children, e)
				outer = stack[n-1].Scope
			}
			e.Scope = outer.with(t.Attr)
			stack, starts = append(stack, e), append(starts, d.InputOffset())
		case xml.CharData:
			if n > 0 {
				stack[n-1].Text = append(stack[n-1].Text, t...)
			}
		case xml.EndElement:
			stack[n-1].Inner = data[starts[n-1]:at:at]
			if n == 1 {
				return stack[0], nil
			}
			stack, starts = stack[:n-1], starts[:n-1]
		}
	}
}

// printable returns err, of whose text a server may have chosen a part, without
// characters that do not print.
func printable(err error) error {
	if syntax := (*xml.SyntaxError)(nil); errors.As(err, &syntax) {
		return &xml.SyntaxError{Msg: wire.Visible(syntax.Msg), Line: syntax.Line}
	}
	return err
}

// Is reports whether the local name of e is name, in any letter case.
func (e *Element) Is(name string) bool { return strings.EqualFold(e.Name, name) }

// All returns the children with a local name, in any letter case. It returns
// nil if there are none.
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

// At returns the first element at a path of local names, or nil if there is
// none. Of several elements with a name it follows the first. The empty path
// leads to e.
func (e *Element) At(path ...string) *Element {
	for _, name := range path {
		if e == nil {
			return nil
		}
		i := slices.IndexFunc(e.Children, func(c *Element) bool { return c.Is(name) })
		if i < 0 {
			return nil
		}
		e = e.Children[i]
	}
	return e
}

// Unique returns an error if two children have the same local name, except the
// names in but. If an answer has something twice, nobody can tell which one
// counts. The error is of no exported type.
func (e *Element) Unique(but ...string) error {
	if e == nil {
		return nil
	}
	seen := make(map[string]bool, len(e.Children))
	for _, c := range e.Children {
		name := strings.ToLower(c.Name)
		if seen[name] && !slices.ContainsFunc(but, c.Is) {
			return fmt.Errorf("<%.40s> appears twice in <%.40s>", c.Name, e.Name)
		}
		seen[name] = true
	}
	return nil
}

// Below returns the first descendant with a local name, or nil if there is
// none.
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

// Value returns the text of the element at a path without white space around
// it, or "" if there is no such element.
func (e *Element) Value(path ...string) string {
	found := e.At(path...)
	if found == nil {
		return ""
	}
	return strings.TrimSpace(string(found.Text))
}

// Attr returns the value of the first attribute with a local name, in any
// letter case, or "" if there is none.
func (e *Element) Attr(name string) string {
	for _, a := range e.Attrs {
		if strings.EqualFold(a.Name.Local, name) {
			return a.Value
		}
	}
	return ""
}
