package evtx

import (
	"encoding/binary"
	"errors"
	"io"
	"strings"
	"testing"
	"time"
)

// A maker makes binary XML by hand in a chunk, from offset 512 on.
type maker struct{ b []byte }

func newMaker() *maker { return &maker{make([]byte, sizeChunkHeader)} }

func (m *maker) put(b ...byte) *maker { m.b = append(m.b, b...); return m }

func (m *maker) u16(n int) *maker {
	m.b = binary.LittleEndian.AppendUint16(m.b, uint16(n))
	return m
}

func (m *maker) u32(n int) *maker {
	m.b = binary.LittleEndian.AppendUint32(m.b, uint32(n))
	return m
}

func (m *maker) text(s string) *maker {
	m.u16(len(s))
	for _, c := range []byte(s) {
		m.put(c, 0)
	}
	return m
}

// name writes a name that is new.
func (m *maker) name(s string) *maker {
	return m.u32(len(m.b) + 4).u32(0).u16(0).text(s).u16(0)
}

// open writes the start of an element outside a template; inside has a dependency.
func (m *maker) open(s string) *maker { return m.put(tokenOpen).u32(0).name(s) }

func (m *maker) inside(s string, dependency int) *maker {
	return m.put(tokenOpen).u16(dependency).u32(0).name(s)
}

// instance writes an instance of a template with a definition and values.
func (m *maker) instance(define func(m *maker), values ...value) *maker {
	m.put(tokenInstance, 1).u32(1)
	m.u32(len(m.b) + 4).u32(0).put(make([]byte, 16)...)
	at := len(m.b)
	m.u32(0)
	define(m)
	m.put(tokenEnd)
	binary.LittleEndian.PutUint32(m.b[at:], uint32(len(m.b)-at-4))
	return m.values(values...)
}

// values writes values, whose data is in zeros of the length to-from.
func (m *maker) values(values ...value) *maker {
	m.u32(len(values))
	for _, v := range values {
		m.u16(v.end-v.from).put(v.kind, 0)
	}
	for _, v := range values {
		m.put(make([]byte, v.end-v.from)...)
	}
	return m
}

func (m *maker) parse() (*Element, error) {
	c := &chunk{data: m.b, budget: chunkBudget, templates: map[uint32]*template{}}
	return c.parseRecord(sizeChunkHeader, len(m.b))
}

// TestTokens has all that may stand in an element.
func TestTokens(t *testing.T) {
	m := newMaker().put(tokenFragment, 1, 1, 0).put(tokenOpen | more).u32(0).name("E").u32(0)
	m.put(tokenAttribute|more).name("A").put(tokenValue, typeString).text("x").put(tokenEntity).name("amp").put(tokenAttribute).name("B").put(tokenChar).u16('b')
	m.put(tokenContent).put(tokenValue, typeString).text("t")
	for _, s := range []string{"amp", "lt", "gt", "quot", "apos"} {
		m.put(tokenEntity).name(s)
	}
	m.put(tokenChar).u16(65).put(tokenCDATA).text("<c>").put(tokenPITarget).name("pi").put(tokenPIData).text("data")
	m.open("F").put(tokenEmpty).put(tokenClose, tokenEnd)
	e, err := m.parse()
	if err != nil {
		t.Fatal(err)
	}
	if got, want := dump(e), "E A=\"x&\" B=\"b\" \"t&<>\\\"'A<c>\"\n  F \"\"\n"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

// TestMissingValues leaves out elements and attributes whose values are not there.
func TestMissingValues(t *testing.T) {
	m := newMaker().instance(func(m *maker) {
		m.put(tokenOpen | more).u16(noDependency).u32(0).name("E").u32(0)
		m.put(tokenAttribute | more).name("Null").put(tokenOptional).u16(0).put(typeString)
		m.put(tokenAttribute | more).name("Empty").put(tokenOptional).u16(1).put(typeString)
		m.put(tokenAttribute | more).name("Beyond").put(tokenOptional).u16(2).put(typeString)
		m.put(tokenAttribute).name("Kept").put(tokenNormal).u16(1).put(typeString)
		m.put(tokenContent)
		m.inside("OnNull", 0).put(tokenEmpty)
		m.inside("OnBeyond", 2).put(tokenEmpty)
		m.inside("OnEmpty", 1).put(tokenContent).put(tokenNormal).u16(2).put(typeString).put(tokenClose)
		m.put(tokenClose)
	}, value{typeNull, 0, 0}, value{typeString, 0, 0})
	e, err := m.parse()
	if err != nil {
		t.Fatal(err)
	}
	if got, want := dump(e), "E Kept=\"\" \"\"\n  OnEmpty \"\"\n"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

func TestBadTokens(t *testing.T) {
	deep := newMaker()
	for range maxDepth + 1 {
		deep.open("d").put(tokenContent)
	}
	self := newMaker()
	self.instance(func(m *maker) {
		m.put(tokenInstance, 1).u32(1).u32(sizeChunkHeader + 10).u32(0)
	})
	for name, c := range map[string]struct {
		m    *maker
		want error
	}{
		"entity":    {newMaker().open("E").put(tokenContent, tokenEntity).name("nbsp").put(tokenClose), ErrFormat},
		"number":    {newMaker().open("E").put(tokenContent, tokenValue, typeUint8).text("x").put(tokenClose), ErrFormat},
		"token":     {newMaker().open("E").put(tokenContent, 0x3F), ErrFormat},
		"no close":  {newMaker().open("E").put(0x3F), ErrFormat},
		"cut":       {newMaker().open("E").put(tokenContent, tokenValue, typeString).u16(500), io.ErrUnexpectedEOF},
		"cut name":  {newMaker().put(tokenOpen).u32(0).u32(sizeChunkHeader + 9).u32(0), io.ErrUnexpectedEOF},
		"far name":  {newMaker().put(tokenOpen).u32(0).u32(1 << 30), ErrFormat},
		"two roots": {newMaker().open("E").put(tokenEmpty).open("E").put(tokenEmpty), ErrFormat},
		"no root":   {newMaker().put(tokenEnd), ErrFormat},
		"values":    {newMaker().instance(func(m *maker) { m.inside("E", noDependency).put(tokenEmpty) }, value{typeString, 0, 4}), nil},
		"deep":      {deep, errTooDeep},
		"self":      {self, errTooDeep},
	} {
		if _, err := c.m.parse(); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
	cut := newMaker().instance(func(m *maker) { m.inside("E", noDependency).put(tokenEmpty) }, value{typeString, 0, 4})
	cut.b = cut.b[:len(cut.b)-1]
	if _, err := cut.parse(); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Error(err)
	}
	if b, err := (&parser{c: &chunk{}, end: 10}).bytes(-1); b != nil || err == nil {
		t.Error(b, err)
	}
}

// TestWidths has values whose data is shorter or longer than their type.
func TestWidths(t *testing.T) {
	data := make([]byte, 64)
	copy(data, []byte{1, 0, 0, 0, 0, 0, 0, 5, 18, 0, 0, 0})
	for _, v := range []struct {
		kind byte
		n    int
		want string
		err  error
	}{
		{typeSize, 4, "0x1", nil},
		{typeSize, 8, "0x500000000000001", nil},
		{typeHex32, 4, "0x1", nil},
		{typeBool, 4, "true", nil},
		{typeBool, 1, "true", nil},
		{typeUint16, 3, "", ErrFormat},
		{typeUint32, 8, "", ErrFormat},
		{typeGUID, 15, "", ErrFormat},
		{typeSystemTime, 8, "", ErrFormat},
		{0x7E, 4, "", ErrFormat},
		{typeSID, 8, "S-1-5", nil},
		{typeSID, 7, "", ErrFormat},
		{typeUint64, 0, "", nil},
		{typeNull, 4, "", nil},
		{typeUint16 | typeArray, 4, "1\n0", nil},
		{typeBinary | typeArray, 2, "0100", nil},
	} {
		c := &chunk{data: data, budget: chunkBudget}
		if got, err := c.format(value{v.kind, 0, v.n}); got != v.want || !errors.Is(err, v.err) {
			t.Errorf("type %#x of %d bytes: %q, %v; want %q, %v", v.kind, v.n, got, err, v.want, v.err)
		}
	}
	c := &chunk{data: []byte{1, 1, 0, 0, 0, 0, 0, 5, 18, 0, 0}, budget: chunkBudget}
	if _, err := c.format(value{typeSID, 0, 11}); !errors.Is(err, ErrFormat) {
		t.Error(err)
	}
	c.budget = 3
	if _, err := c.format(value{typeSID, 0, 11}); !errors.Is(err, ErrLimit) {
		t.Error(err)
	}
}

func TestTimes(t *testing.T) {
	if got := filetime(0); !got.IsZero() {
		t.Error(got)
	}
	if got := filetime(1); !got.Equal(time.Date(1601, 1, 1, 0, 0, 0, 100, time.UTC)) {
		t.Error(got)
	}
	if got := filetime(2650467743999999999); !got.Equal(time.Date(9999, 12, 31, 23, 59, 59, 999999900, time.UTC)) {
		t.Error(got)
	}
	if got := filetime(2650467744000000000); !got.IsZero() {
		t.Error(got)
	}
	for year, zero := range map[uint16]bool{1600: true, 1601: false, 9999: false, 10000: true} {
		b := binary.LittleEndian.AppendUint16(nil, year)
		b = append(b, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0)
		if got := systemTime(b); got.IsZero() != zero {
			t.Errorf("%d: %v", year, got)
		}
	}
}

func TestEventOf(t *testing.T) {
	if ev := EventOf(nil); ev != nil {
		t.Error(ev)
	}
	if ev := EventOf(&Element{Name: "Event"}); ev != nil {
		t.Error(ev)
	}
	e := &Element{Name: "Event", Children: []*Element{{Name: "System", Children: []*Element{
		{Name: "Provider", Attrs: []Attr{{"EventSourceName", "Classic"}}}, {Name: "EventID", Text: " 7 "}, {Name: "Level", Text: "-1"},
	}}, {Name: "EventData"}}}
	for range maxFields + 1 {
		e.Children[1].Children = append(e.Children[1].Children, &Element{Name: "Data", Text: "x"})
	}
	if ev := EventOf(e); ev.Provider != "Classic" || ev.ID != 7 || ev.Level != 0 || len(ev.Data) != maxFields {
		t.Errorf("%d fields, %+v", len(ev.Data), strings.TrimSpace(ev.Provider))
	}
}
