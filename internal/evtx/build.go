package evtx

import (
	"strings"
)

// An Element is a piece of XML with all values put in.
type Element struct {
	Name     string
	Attrs    []Attr
	Text     string // the text between all children
	Children []*Element
}

// An Attr is an attribute.
type Attr struct{ Name, Value string }

// Attr returns the value of an attribute, or "".
func (e *Element) Attr(name string) string {
	if e != nil {
		for _, a := range e.Attrs {
			if a.Name == name {
				return a.Value
			}
		}
	}
	return ""
}

// Child returns the first child of a name, or nil.
func (e *Element) Child(name string) *Element {
	if e != nil {
		for _, c := range e.Children {
			if c.Name == name {
				return c
			}
		}
	}
	return nil
}

// text returns the text of the first child of a name, or "".
func (e *Element) text(name string) string {
	if c := e.Child(name); c != nil {
		return c.Text
	}
	return ""
}

// parseRecord returns the XML of a record.
func (c *chunk) parseRecord(from, end int) (*Element, error) {
	p := parser{c: c, pos: from, end: end}
	nodes, err := p.fragment()
	if err != nil {
		return nil, err
	}
	var root Element
	b := builder{c: c}
	if err := b.add(&root, nodes, nil); err != nil {
		return nil, err
	}
	if len(root.Children) != 1 {
		return nil, ErrFormat
	}
	return root.Children[0], nil
}

// A builder puts values into elements.
type builder struct {
	c       *chunk
	depth   int
	nesting int
}

// add appends nodes to e.
func (b *builder) add(e *Element, nodes []node, values []value) error {
	var text strings.Builder
	text.WriteString(e.Text)
	for _, n := range nodes {
		switch {
		case n.element != nil:
			children, err := b.element(n.element, values)
			if err != nil {
				return err
			}
			e.Children = append(e.Children, children...)
		case n.instance != nil:
			if err := b.nested(e, n.instance.def.nodes, n.instance.values); err != nil {
				return err
			}
		case n.sub >= 0:
			if n.sub >= len(values) {
				continue
			}
			v := values[n.sub]
			if v.kind == typeBinXML {
				if err := b.binXML(e, v); err != nil {
					return err
				}
				continue
			}
			s, err := b.c.format(v)
			if err != nil {
				return err
			}
			text.WriteString(s)
		default:
			if err := b.c.charge(len(n.text)); err != nil {
				return err
			}
			text.WriteString(n.text)
		}
	}
	e.Text = text.String()
	return nil
}

// nested appends the nodes of a template within a value.
func (b *builder) nested(e *Element, nodes []node, values []value) error {
	if b.nesting++; b.nesting > maxNesting {
		return errTooDeep
	}
	defer func() { b.nesting-- }()
	return b.add(e, nodes, values)
}

// binXML appends the XML that is a value.
func (b *builder) binXML(e *Element, v value) error {
	p := parser{c: b.c, pos: v.from, end: v.end}
	nodes, err := p.fragment()
	if err != nil {
		return err
	}
	return b.nested(e, nodes, nil)
}

// element returns e with values. It returns none if the value that e depends on is
// missing, and one for each item of an array.
func (b *builder) element(e *element, values []value) (list []*Element, err error) {
	if e.dependency != noDependency && (e.dependency >= len(values) || values[e.dependency].kind == typeNull) {
		return nil, nil
	}
	if b.depth++; b.depth > maxDepth {
		return nil, errTooDeep
	}
	defer func() { b.depth-- }()
	for _, values := range b.c.unroll(e, values) {
		if err := b.c.charge(nodeCost); err != nil {
			return nil, err
		}
		out := &Element{Name: e.name}
		for _, a := range e.attrs {
			if missing(a.nodes, values) {
				continue
			}
			var text Element
			if err := b.add(&text, a.nodes, values); err != nil {
				return nil, err
			}
			out.Attrs = append(out.Attrs, Attr{a.name, text.Text})
		}
		if err := b.add(out, e.nodes, values); err != nil {
			return nil, err
		}
		list = append(list, out)
	}
	return list, nil
}

// missing reports whether an attribute is an optional value that is not there.
func missing(nodes []node, values []value) bool {
	if len(nodes) != 1 || !nodes[0].optional {
		return false
	}
	i := nodes[0].sub
	return i >= len(values) || values[i].kind == typeNull || values[i].from == values[i].end
}

// unroll returns values for each element that e makes: an element around an array
// is repeated for each item.
func (c *chunk) unroll(e *element, values []value) [][]value {
	for _, n := range e.nodes {
		if n.sub < 0 || n.sub >= len(values) || values[n.sub].kind&typeArray == 0 {
			continue
		}
		items := c.items(values[n.sub])
		if len(items) == 0 || c.charge(len(items)*len(values)*nodeCost) != nil {
			return [][]value{values}
		}
		var all [][]value
		for _, item := range items {
			one := append([]value(nil), values...)
			one[n.sub] = item
			all = append(all, one)
		}
		return all
	}
	return [][]value{values}
}
