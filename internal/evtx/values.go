package evtx

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/whiteglove/whiteglove/internal/wide"
)

// Types of values ([MS-EVEN6] section 2.2.12).
const (
	typeNull       = 0x00
	typeString     = 0x01
	typeAnsi       = 0x02
	typeInt8       = 0x03
	typeUint8      = 0x04
	typeInt16      = 0x05
	typeUint16     = 0x06
	typeInt32      = 0x07
	typeUint32     = 0x08
	typeInt64      = 0x09
	typeUint64     = 0x0A
	typeReal32     = 0x0B
	typeReal64     = 0x0C
	typeBool       = 0x0D
	typeBinary     = 0x0E
	typeGUID       = 0x0F
	typeSize       = 0x10
	typeFiletime   = 0x11
	typeSystemTime = 0x12
	typeSID        = 0x13
	typeHex32      = 0x14
	typeHex64      = 0x15
	typeBinXML     = 0x21
	typeArray      = 0x80
)

// timeLayout is how a FILETIME is written: with seven digits, its precision.
const timeLayout = "2006-01-02T15:04:05.0000000Z"

// format returns a value as Windows writes it in XML.
func (c *chunk) format(v value) (string, error) {
	if err := c.charge(v.end - v.from); err != nil {
		return "", err
	}
	data := c.data[v.from:v.end]
	if v.kind&typeArray != 0 {
		var list []string
		for _, item := range c.items(v) {
			s, err := c.format(item)
			if err != nil {
				return "", err
			}
			list = append(list, s)
		}
		return strings.Join(list, "\n"), nil
	}
	if len(data) == 0 {
		return "", nil
	}
	switch v.kind {
	case typeNull:
		return "", nil
	case typeString:
		return utf16String(data), nil
	case typeAnsi:
		return latin1(data), nil
	case typeBinary:
		return fmt.Sprintf("%X", data), nil
	case typeSID:
		return sid(data)
	}
	if want := width(v.kind); want == 0 || want != len(data) {
		if v.kind != typeSize && v.kind != typeHex32 && v.kind != typeBool {
			return "", ErrFormat
		}
	}
	return fixed(v.kind, data)
}

// width returns how many bytes a value of a type has, 0 if that varies.
func width(kind byte) int {
	switch kind {
	case typeInt8, typeUint8:
		return 1
	case typeInt16, typeUint16:
		return 2
	case typeInt32, typeUint32, typeReal32, typeBool, typeHex32:
		return 4
	case typeInt64, typeUint64, typeReal64, typeFiletime, typeHex64, typeSize:
		return 8
	case typeGUID, typeSystemTime:
		return 16
	}
	return 0
}

// fixed formats a value of a fixed width. Sizes have that of a pointer.
func fixed(kind byte, data []byte) (string, error) {
	u := uint64(0)
	if len(data) <= 8 {
		var b [8]byte
		copy(b[:], data)
		u = binary.LittleEndian.Uint64(b[:])
	}
	shift := 64 - 8*uint(len(data))
	switch kind {
	case typeInt8, typeInt16, typeInt32, typeInt64:
		return strconv.FormatInt(int64(u<<shift)>>shift, 10), nil
	case typeUint8, typeUint16, typeUint32, typeUint64:
		return strconv.FormatUint(u, 10), nil
	case typeReal32:
		return strconv.FormatFloat(float64(math.Float32frombits(uint32(u))), 'g', -1, 32), nil
	case typeReal64:
		return strconv.FormatFloat(math.Float64frombits(u), 'g', -1, 64), nil
	case typeBool:
		return strconv.FormatBool(u != 0), nil
	case typeHex32, typeHex64, typeSize:
		return fmt.Sprintf("0x%x", u), nil
	case typeFiletime:
		return stamp(filetime(u), timeLayout), nil
	case typeGUID:
		return guid(data), nil
	case typeSystemTime:
		return stamp(systemTime(data), "2006-01-02T15:04:05.000Z"), nil
	}
	return "", ErrFormat
}

func stamp(t time.Time, layout string) string {
	if t.IsZero() {
		return ""
	}
	return t.Format(layout)
}

// guid returns a GUID in braces, with capitals.
func guid(b []byte) string {
	le := binary.LittleEndian
	return fmt.Sprintf("{%08X-%04X-%04X-%X-%X}", le.Uint32(b), le.Uint16(b[4:]), le.Uint16(b[6:]), b[8:10], b[10:16])
}

// systemTime returns the time of a SYSTEMTIME, eight 16-bit numbers.
func systemTime(b []byte) time.Time {
	n := func(i int) int { return int(binary.LittleEndian.Uint16(b[2*i:])) }
	if n(0) < 1601 || n(0) > 9999 {
		return time.Time{}
	}
	return time.Date(n(0), time.Month(n(1)), n(3), n(4), n(5), n(6), n(7)*1e6, time.UTC)
}

// sid returns a security identifier as "S-1-5-18".
func sid(b []byte) (string, error) {
	if len(b) < 8 || len(b) < 8+4*int(b[1]) {
		return "", ErrFormat
	}
	authority := uint64(0)
	for _, c := range b[2:8] {
		authority = authority<<8 | uint64(c)
	}
	s := fmt.Sprintf("S-%d-%d", b[0], authority)
	for i := range int(b[1]) {
		s += fmt.Sprintf("-%d", binary.LittleEndian.Uint32(b[8+4*i:]))
	}
	return s, nil
}

// items returns the values of an array. Texts end with a zero each.
func (c *chunk) items(v value) (items []value) {
	kind := v.kind &^ typeArray
	switch n := width(kind); {
	case kind == typeString:
		from := v.from
		for at := v.from; at+2 <= v.end; at += 2 {
			if c.data[at] == 0 && c.data[at+1] == 0 {
				items = append(items, value{kind, from, at})
				from = at + 2
			}
		}
		if from < v.end {
			items = append(items, value{kind, from, v.end})
		}
	case n > 0:
		for at := v.from; at+n <= v.end; at += n {
			items = append(items, value{kind, at, at + n})
		}
	default:
		items = append(items, value{kind, v.from, v.end})
	}
	return items
}

// utf16String decodes UTF-16, up to a zero.
func utf16String(b []byte) string {
	text, _, _ := bytes.Cut(wide.Decode(b, binary.LittleEndian), []byte{0})
	return string(text)
}

// latin1 decodes bytes of an unknown code page, up to a zero.
func latin1(b []byte) string {
	var s strings.Builder
	for _, c := range b {
		if c == 0 {
			break
		}
		s.WriteRune(rune(c))
	}
	return s.String()
}
