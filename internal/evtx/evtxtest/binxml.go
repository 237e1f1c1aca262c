package evtxtest

import (
	"encoding/binary"
	"fmt"
	"math"
	"strings"
	"time"
	"unicode/utf16"
)

// A chunk is one being written. Offsets within it are those of the file format.
type chunk struct {
	buf        []byte
	names      map[string]uint32
	templates  map[string]uint32
	lastRecord int
}

func newChunk() *chunk {
	return &chunk{buf: make([]byte, chunkStart), names: map[string]uint32{}, templates: map[string]uint32{}}
}

func (w *chunk) u8(v ...byte)  { w.buf = append(w.buf, v...) }
func (w *chunk) u16(v int)     { w.buf = binary.LittleEndian.AppendUint16(w.buf, uint16(v)) }
func (w *chunk) u32(v uint32)  { w.buf = binary.LittleEndian.AppendUint32(w.buf, v) }
func (w *chunk) u64(v uint64)  { w.buf = binary.LittleEndian.AppendUint64(w.buf, v) }
func (w *chunk) text(s string) { w.buf = append(w.buf, utf16Bytes(s)...) }

// hole reserves four bytes. What it returns writes how many bytes follow them.
func (w *chunk) hole() func() {
	at := len(w.buf)
	w.u32(0)
	return func() { binary.LittleEndian.PutUint32(w.buf[at:], uint32(len(w.buf)-at-4)) }
}

// name writes a reference to a name, and the name where it is new in the chunk.
func (w *chunk) name(s string) {
	if at, ok := w.names[s]; ok {
		w.u32(at)
		return
	}
	at := uint32(len(w.buf) + 4)
	w.names[s] = at
	w.u32(at)
	w.u32(0)
	hash := uint32(0)
	for _, u := range utf16.Encode([]rune(s)) {
		hash = hash*65599 + uint32(u)
	}
	w.u16(int(hash & 0xFFFF))
	w.u16(len(utf16.Encode([]rune(s))))
	w.text(s)
	w.u16(0)
}

// A sub is a substitution: an index and a type. Its element depends on it if it is
// optional.
type sub struct {
	index    int
	kind     byte
	optional bool
}

func (w *chunk) sub(s sub) {
	token := byte(0x0D)
	if s.optional {
		token = 0x0E
	}
	w.u8(token)
	w.u16(s.index)
	w.u8(s.kind)
}

func (w *chunk) literal(s string) {
	w.u8(0x05, 0x01)
	w.u16(len(utf16.Encode([]rune(s))))
	w.text(s)
}

// An attr is an attribute with a text or a substitution.
type attr struct {
	name  string
	value any
}

// element writes an element of a template. body writes the content; nil makes it
// empty.
func (w *chunk) element(name string, dependency int, attrs []attr, body func()) {
	token := byte(0x01)
	if len(attrs) > 0 {
		token |= 0x40
	}
	w.u8(token)
	w.u16(dependency)
	size := w.hole()
	w.name(name)
	if len(attrs) > 0 {
		attrSize := w.hole()
		for i, a := range attrs {
			token := byte(0x06)
			if i < len(attrs)-1 {
				token |= 0x40
			}
			w.u8(token)
			w.name(a.name)
			switch v := a.value.(type) {
			case sub:
				w.sub(v)
			case string:
				w.literal(v)
			}
		}
		attrSize()
	}
	if body == nil {
		w.u8(0x03)
	} else {
		w.u8(0x02)
		body()
		w.u8(0x04)
	}
	size()
}

// instance writes an instance of a template, whose definition follows where it is new
// in the chunk.
func (w *chunk) instance(key string, define func(), values []any) {
	w.u8(0x0F, 1, 1, 0, 0x0C, 1)
	w.u32(uint32(len(key)))
	if at, ok := w.templates[key]; ok {
		w.u32(at)
	} else {
		at := uint32(len(w.buf) + 4)
		w.templates[key] = at
		w.u32(at)
		w.u32(0)
		w.u32(uint32(len(key)))
		w.u64(at0(key))
		w.u32(0)
		size := w.hole()
		w.u8(0x0F, 1, 1, 0)
		define()
		w.u8(0x00)
		size()
	}
	w.u32(uint32(len(values)))
	list := len(w.buf)
	w.buf = append(w.buf, make([]byte, 4*len(values))...)
	for i, v := range values {
		from := len(w.buf)
		kind := w.value(v)
		binary.LittleEndian.PutUint16(w.buf[list+4*i:], uint16(len(w.buf)-from))
		w.buf[list+4*i+2] = kind
	}
}

// at0 makes up eight bytes of a GUID.
func at0(key string) (h uint64) {
	for _, c := range []byte(key) {
		h = h*31 + uint64(c)
	}
	return h
}

// value writes a value and returns its type. A func() writes binary XML.
func (w *chunk) value(v any) byte {
	le := binary.LittleEndian
	switch v := v.(type) {
	case nil:
		return 0x00
	case string:
		w.text(v)
		return 0x01
	case []string:
		w.text(strings.Join(v, "\x00") + "\x00")
		return 0x81
	case Ansi:
		w.u8([]byte(v)...)
		return 0x02
	case int8, uint8, int16, uint16, int32, uint32, int64, uint64:
		kinds := map[string]byte{"int8": 3, "uint8": 4, "int16": 5, "uint16": 6, "int32": 7, "uint32": 8, "int64": 9, "uint64": 10}
		w.buf, _ = binary.Append(w.buf, le, v)
		return kinds[fmt.Sprintf("%T", v)]
	case float32:
		w.u32(math.Float32bits(v))
		return 0x0B
	case float64:
		w.u64(math.Float64bits(v))
		return 0x0C
	case bool:
		if w.u32(0); v {
			w.buf[len(w.buf)-4] = 1
		}
		return 0x0D
	case []byte:
		w.u8(v...)
		return 0x0E
	case GUID:
		w.u8(v[:]...)
		return 0x0F
	case time.Time:
		w.u64(filetime(v))
		return 0x11
	case SystemTime:
		t := time.Time(v)
		for _, n := range []int{t.Year(), int(t.Month()), int(t.Weekday()), t.Day(), t.Hour(), t.Minute(), t.Second(), t.Nanosecond() / 1e6} {
			w.u16(n)
		}
		return 0x12
	case SID:
		w.u8(v...)
		return 0x13
	case Hex32:
		w.u32(uint32(v))
		return 0x14
	case Hex64:
		w.u64(uint64(v))
		return 0x15
	case []uint32:
		for _, n := range v {
			w.u32(n)
		}
		return 0x88
	case func():
		v()
		return 0x21
	}
	panic(fmt.Sprintf("evtxtest: a value of type %T", v))
}

func utf16Bytes(s string) (b []byte) {
	for _, u := range utf16.Encode([]rune(s)) {
		b = binary.LittleEndian.AppendUint16(b, u)
	}
	return b
}
