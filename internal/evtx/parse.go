package evtx

import (
	"encoding/binary"
	"errors"
	"io"
)

// A parser reads binary XML of a chunk from pos to end.
type parser struct {
	c        *chunk
	pos, end int
	template bool // within a definition, where elements have a dependency
	depth    int
}

var errTooDeep = errors.New("elements are nested too deeply")

// charge takes n from the budget of the chunk.
func (c *chunk) charge(n int) error {
	if c.budget -= n; c.budget < 0 {
		c.budget = 0
		return ErrLimit
	}
	return nil
}

func (p *parser) bytes(n int) ([]byte, error) {
	if n < 0 || n > p.end-p.pos {
		return nil, io.ErrUnexpectedEOF
	}
	b := p.c.data[p.pos : p.pos+n]
	p.pos += n
	return b, nil
}

func (p *parser) u8() (byte, error) {
	b, err := p.bytes(1)
	if err != nil {
		return 0, err
	}
	return b[0], nil
}

func (p *parser) u16() (int, error) {
	b, err := p.bytes(2)
	if err != nil {
		return 0, err
	}
	return int(binary.LittleEndian.Uint16(b)), nil
}

func (p *parser) u32() (uint32, error) {
	b, err := p.bytes(4)
	if err != nil {
		return 0, err
	}
	return binary.LittleEndian.Uint32(b), nil
}

// peek returns the next token without its flag, or tokenEnd at the end.
func (p *parser) peek() byte {
	if p.pos >= p.end {
		return tokenEnd
	}
	return p.c.data[p.pos] &^ more
}

// fragment reads elements and instances up to the end of a fragment.
func (p *parser) fragment() (nodes []node, err error) {
	for p.pos < p.end {
		switch p.peek() {
		case tokenEnd:
			p.pos++
			return nodes, nil
		case tokenFragment:
			if _, err := p.bytes(4); err != nil {
				return nil, err
			}
		default:
			n, err := p.node()
			if err != nil {
				return nil, err
			}
			nodes = append(nodes, n...)
		}
	}
	return nodes, nil
}

// node reads what may stand in a fragment or as an element's content. It returns no
// node for a processing instruction.
func (p *parser) node() ([]node, error) {
	if err := p.c.charge(nodeCost); err != nil {
		return nil, err
	}
	n := node{sub: -1}
	var err error
	switch token := p.peek(); token {
	case tokenOpen:
		n.element, err = p.element()
	case tokenInstance:
		n.instance, err = p.instance()
	case tokenNormal, tokenOptional:
		p.pos++
		n.optional = token == tokenOptional
		if n.sub, err = p.u16(); err == nil {
			_, err = p.u8()
		}
	case tokenValue:
		p.pos++
		n.text, err = p.literal()
	case tokenCDATA:
		p.pos++
		n.text, err = p.counted()
	case tokenChar:
		p.pos++
		var r int
		r, err = p.u16()
		n.text = string(rune(r))
	case tokenEntity:
		p.pos++
		var name string
		if name, err = p.name(); err == nil {
			n.text, err = entity(name)
		}
	case tokenPITarget:
		p.pos++
		_, err = p.name()
		return nil, err
	case tokenPIData:
		p.pos++
		_, err = p.counted()
		return nil, err
	default:
		return nil, ErrFormat
	}
	return []node{n}, err
}

func entity(name string) (string, error) {
	switch name {
	case "amp":
		return "&", nil
	case "lt":
		return "<", nil
	case "gt":
		return ">", nil
	case "quot":
		return `"`, nil
	case "apos":
		return "'", nil
	}
	return "", ErrFormat
}

// literal reads a value that stands in the XML itself, which is a text.
func (p *parser) literal() (string, error) {
	kind, err := p.u8()
	if err != nil {
		return "", err
	}
	if kind != typeString {
		return "", ErrFormat
	}
	return p.counted()
}

// counted reads a count of UTF-16 units and those.
func (p *parser) counted() (string, error) {
	n, err := p.u16()
	if err != nil {
		return "", err
	}
	b, err := p.bytes(2 * n)
	if err != nil {
		return "", err
	}
	return utf16String(b), p.c.charge(len(b))
}

func (p *parser) element() (*element, error) {
	if p.depth++; p.depth > maxDepth {
		return nil, errTooDeep
	}
	defer func() { p.depth-- }()
	token, err := p.u8()
	if err != nil {
		return nil, err
	}
	e := &element{dependency: noDependency}
	if p.template {
		if e.dependency, err = p.u16(); err != nil {
			return nil, err
		}
	}
	if _, err = p.u32(); err != nil { // the size
		return nil, err
	}
	if e.name, err = p.name(); err != nil {
		return nil, err
	}
	if token&more != 0 {
		if _, err = p.u32(); err != nil { // the size of the attributes
			return nil, err
		}
		for p.peek() == tokenAttribute {
			a, err := p.attribute()
			if err != nil {
				return nil, err
			}
			e.attrs = append(e.attrs, a)
		}
	}
	switch token, err = p.u8(); {
	case err != nil:
		return nil, err
	case token == tokenEmpty:
		return e, nil
	case token != tokenContent:
		return nil, ErrFormat
	}
	for {
		if p.peek() == tokenClose {
			p.pos++
			return e, nil
		}
		n, err := p.node()
		if err != nil {
			return nil, err
		}
		e.nodes = append(e.nodes, n...)
	}
}

func (p *parser) attribute() (a attribute, err error) {
	if err := p.c.charge(nodeCost); err != nil {
		return a, err
	}
	p.pos++
	if a.name, err = p.name(); err != nil {
		return a, err
	}
	for {
		switch p.peek() {
		case tokenValue, tokenNormal, tokenOptional, tokenChar, tokenEntity:
			n, err := p.node()
			if err != nil {
				return a, err
			}
			a.nodes = append(a.nodes, n...)
		default:
			return a, nil
		}
	}
}
