package evtx

import (
	"encoding/binary"
	"io"
)

// Limits of a chunk and a record.
const (
	chunkBudget = 4 << 20 // bytes of text, and nodeCost for each node
	nodeCost    = 64
	maxDepth    = 64 // of elements
	maxNesting  = 8  // of templates in values
)

// Tokens of binary XML. Four of them may have the flag more, which says that
// attributes or more data follow.
const (
	tokenEnd       = 0x00
	tokenOpen      = 0x01
	tokenContent   = 0x02
	tokenEmpty     = 0x03
	tokenClose     = 0x04
	tokenValue     = 0x05
	tokenAttribute = 0x06
	tokenCDATA     = 0x07
	tokenChar      = 0x08
	tokenEntity    = 0x09
	tokenPITarget  = 0x0A
	tokenPIData    = 0x0B
	tokenInstance  = 0x0C
	tokenNormal    = 0x0D
	tokenOptional  = 0x0E
	tokenFragment  = 0x0F
	more           = 0x40
	noDependency   = 0xFFFF
)

// An element is one of a template or a record, before values are put in.
type element struct {
	name       string
	dependency int // index of a value without which the element is left out, or noDependency
	attrs      []attribute
	nodes      []node
}

type attribute struct {
	name  string
	nodes []node
}

// A node is one of: an element, an instance of a template, a substitution, a text.
type node struct {
	element  *element
	instance *instance
	sub      int // index of a value, -1 for none
	optional bool
	text     string
}

// A template is a definition that records of a chunk share.
type template struct {
	nodes []node
	err   error
}

// An instance is a template with values.
type instance struct {
	def    *template
	values []value
}

// A value is one to put into a template: its type and where it is in the chunk.
type value struct {
	kind      byte
	from, end int
}

// name reads the offset of a name and the name, which follows where it occurs first
// in the chunk.
func (p *parser) name() (string, error) {
	offset, err := p.u32()
	if err != nil {
		return "", err
	}
	q := parser{c: p.c, pos: int(offset), end: len(p.c.data)}
	inline := int64(offset) == int64(p.pos)
	if int64(offset) > int64(q.end) {
		return "", ErrFormat
	}
	if _, err := q.bytes(6); err != nil { // the next name and a hash
		return "", err
	}
	s, err := q.counted()
	if err != nil {
		return "", err
	}
	if inline {
		if _, err := p.bytes(q.pos + 2 - p.pos); err != nil { // a zero ends it
			return "", err
		}
	}
	return s, nil
}

// instance reads an instance of a template, with the definition where it follows.
func (p *parser) instance() (*instance, error) {
	if _, err := p.bytes(2); err != nil { // the token and a version
		return nil, err
	}
	if _, err := p.u32(); err != nil { // the identifier, a part of the GUID
		return nil, err
	}
	offset, err := p.u32()
	if err != nil {
		return nil, err
	}
	def, end := p.c.define(offset)
	if def.err != nil {
		return nil, def.err
	}
	if int64(offset) == int64(p.pos) {
		p.pos = min(end, p.end)
	}
	in := &instance{def: def}
	count, err := p.u32()
	if err != nil {
		return nil, err
	}
	if int64(count)*4 > int64(p.end-p.pos) {
		return nil, io.ErrUnexpectedEOF
	}
	if err := p.c.charge(int(count) * 16); err != nil {
		return nil, err
	}
	list, _ := p.bytes(int(count) * 4)
	for ; len(list) > 0; list = list[4:] {
		from := p.pos
		if _, err := p.bytes(int(binary.LittleEndian.Uint16(list))); err != nil {
			return nil, err
		}
		in.values = append(in.values, value{list[2], from, p.pos})
	}
	return in, nil
}

// define returns the template at an offset and where its definition ends.
func (c *chunk) define(offset uint32) (*template, int) {
	const head = 24 // the next template, a GUID, the size
	if int64(offset)+head > int64(len(c.data)) {
		return &template{err: ErrFormat}, 0
	}
	size := binary.LittleEndian.Uint32(c.data[offset+20:])
	end := int64(offset) + head + int64(size)
	if end > int64(len(c.data)) {
		return &template{err: io.ErrUnexpectedEOF}, 0
	}
	t := c.templates[offset]
	if t == nil {
		t = &template{err: errTooDeep} // in case it refers to itself
		c.templates[offset] = t
		p := parser{c: c, pos: int(offset) + head, end: int(end), template: true}
		t.nodes, t.err = p.fragment()
	}
	return t, int(end)
}
