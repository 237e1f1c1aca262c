package autopilot

import (
	"bytes"
	"encoding/binary"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/whiteglove/whiteglove/internal/plain"
	"github.com/whiteglove/whiteglove/internal/wide"
)

// A sheetParser reads a file into a sheet.
type sheetParser struct {
	sheet     *Sheet
	separator rune
	header    []*column // nil for columns that are passed over
	quoted    bool      // a quotation mark was met
	open      bool      // one of the last line is not closed
}

func (p *sheetParser) find(line int, refused bool, id, format string, args ...any) {
	p.sheet.Findings = append(p.sheet.Findings, newFinding(id, line, refused, format, args...))
}

// decode returns the text of a file.
func (p *sheetParser) decode(raw []byte) string {
	text := p.decodeUnits(raw)
	if strings.IndexFunc(text, func(r rune) bool { return r >= utf8.RuneSelf }) >= 0 {
		p.find(0, false, "not-ascii", "the file has text beyond ASCII")
	}
	return text
}

func (p *sheetParser) decodeUnits(raw []byte) string {
	decode := func(order binary.ByteOrder, b []byte) string {
		p.find(0, true, "utf-16", "the file is UTF-16")
		return string(wide.Decode(b, order))
	}
	switch {
	case bytes.HasPrefix(raw, []byte{0xFF, 0xFE}):
		return decode(binary.LittleEndian, raw[2:])
	case bytes.HasPrefix(raw, []byte{0xFE, 0xFF}):
		return decode(binary.BigEndian, raw[2:])
	case len(raw) > 3 && raw[0] != 0 && raw[1] == 0 && raw[3] == 0:
		return decode(binary.LittleEndian, raw)
	case len(raw) > 3 && raw[0] == 0 && raw[1] != 0 && raw[2] == 0:
		return decode(binary.BigEndian, raw)
	}
	if rest, ok := bytes.CutPrefix(raw, []byte("\xEF\xBB\xBF")); ok {
		p.find(0, true, "byte-order-mark", "the file starts with a byte order mark")
		raw = rest
	}
	if utf8.Valid(raw) {
		return string(raw)
	}
	return windows1252(raw)
}

// windows1252 decodes the code page that "ANSI" means in Western Europe and
// America.
func windows1252(raw []byte) string {
	// What 0x80 to 0x9F are; five of them are nothing.
	const high = "€\ufffd‚ƒ„…†‡ˆ‰Š‹Œ\ufffdŽ\ufffd\ufffd‘’“”•–—˜™š›œ\ufffdžŸ"
	table := []rune(high)
	var b strings.Builder
	for _, c := range raw {
		if c >= 0x80 && c < 0xA0 {
			b.WriteRune(table[c-0x80])
		} else {
			b.WriteRune(rune(c))
		}
	}
	return b.String()
}

// parse reads header and rows.
func (p *sheetParser) parse(text string) error {
	lines, err := fileLines(text)
	if err != nil {
		return err
	}
	last := 0
	if strings.TrimSpace(text) == "" {
		return plain.Because(ErrMalformed, "the file is empty")
	}
	for i, line := range lines {
		n := i + 1
		if separators(line) > maxFields {
			return malformed("line %d has over %d fields", n, maxFields)
		}
		if p.header == nil && isPreamble(line) {
			p.find(n, true, "preamble", "the line is a program's own, and no header")
			continue
		}
		if strings.Trim(line, " \t,;\"") == "" {
			p.find(n, true, "blank-line", "the line is blank")
			continue
		}
		if p.header == nil {
			if isRow, err := p.readHeader(n, line, lines[n:]); err != nil || !isRow {
				if err != nil {
					return err
				}
				continue
			}
		}
		p.row(n, p.closed(n, line))
		last = n
	}
	if p.header == nil {
		return plain.Because(ErrMalformed, "there is no header: want %q", header(layouts[0].names[:layouts[0].needed]))
	}
	if p.quoted {
		p.find(0, true, "quotes", "fields are in quotation marks")
	}
	switch n := len(p.sheet.Rows); {
	case n > MaxRows:
		p.find(last, true, "too-many-rows", "there are %d devices, and %d are the most", n, MaxRows)
	case n == 0:
		p.find(0, true, "no-rows", "there is no device")
	}
	return nil
}

// Limits on what a file holds.
const (
	maxLines  = 100_000
	maxFields = 1000 // of a line
)

// fileLines returns the lines of a text without their ends. That the last line
// has an end makes no line.
func fileLines(text string) ([]string, error) {
	text = strings.ReplaceAll(text, "\r\n", "\n")
	text = strings.ReplaceAll(text, "\r", "\n")
	if strings.Count(text, "\n") > maxLines {
		return nil, malformed("the file has over %d lines", maxLines)
	}
	return strings.Split(strings.TrimSuffix(text, "\n"), "\n"), nil
}

// separators counts what may separate fields.
func separators(line string) int {
	return strings.Count(line, ",") + strings.Count(line, ";") + strings.Count(line, "\t")
}

// isPreamble reports whether a line before the header is one that a program put
// there: PowerShell 5.1 the type of its objects, Excel the separator.
func isPreamble(line string) bool {
	line = strings.ToLower(strings.TrimSpace(line))
	return strings.HasPrefix(line, "#type ") || strings.HasPrefix(line, "sep=") && len(line) <= len("sep=,")
}

// header returns names of columns as the first line of a file.
func header(names []string) string { return strings.Join(names, ",") }

// readHeader reads the first line that is not blank, before the others. It returns true if
// that is a device already.
func (p *sheetParser) readHeader(n int, line string, others []string) (isRow bool, err error) {
	p.separator = ','
	if !strings.Contains(line, ",") {
		for _, r := range ";\t" {
			if strings.ContainsRune(line, r) {
				p.separator = r
				p.find(n, true, "separator", "fields are separated by %q", r)
				break
			}
		}
	}
	names := p.closed(n, line)
	var known []string
	for _, name := range names {
		c := columnNamed(name)
		p.header = append(p.header, c)
		if c != nil {
			known = append(known, c.name)
		}
	}
	if len(known) == 0 {
		if isRow, found := p.byPosition(n, line, names, others); found {
			return isRow, nil
		}
	}
	layout := -1
	for i, l := range layouts {
		// The one that has the most of the columns; the first of several.
		if missing(l.names[:l.needed], known) == 0 && (layout < 0 || missing(known, l.names) < missing(known, layouts[layout].names)) {
			layout = i
		}
	}
	if layout < 0 {
		return false, plain.Because(ErrMalformed, "line %d is no header: want %q", n, header(layouts[0].names[:layouts[0].needed]))
	}
	l := layouts[layout]
	p.sheet.Format = l.format
	p.checkHeader(n, names, l.names)
	return false, nil
}

// byPosition takes columns without a known name for those of a format by their order: of
// the one with hashes if the third is one, in the first line or below it, or that of
// identifiers. It returns whether the line is a device, and whether there is such a format.
func (p *sheetParser) byPosition(n int, line string, names, others []string) (isRow, found bool) {
	hashes := layouts[0]
	at := hashes.needed - 1
	want := header(hashes.names[:hashes.needed])
	switch {
	case len(names) < hashes.needed || len(names) > len(hashes.names):
		return false, false
	case looksLikeHash(names[at]):
		p.find(n, true, "header", "there is no header: want %q", want)
		p.columns(hashes.format, hashes.names[:len(names)])
		return true, true
	case slices.ContainsFunc(others, func(other string) bool { return looksLikeHash(p.field(other, at)) }):
		p.find(n, true, "header", "%.100q is no known header: want %q", line, want)
		p.columns(hashes.format, hashes.names[:len(names)])
		return false, true
	case len(names) != len(identifierColumns):
		return false, false
	}
	p.columns(Identifiers, identifierColumns)
	if slices.ContainsFunc(names, isTitle) {
		p.find(n, true, "header", "%.100q is no known header: a file of corporate identifiers has none, and one of hashes has %q", line, want)
		return false, true
	}
	return true, true
}

// columns sets the columns of the file.
func (p *sheetParser) columns(format Format, names []string) {
	p.sheet.Format, p.header = format, nil
	for _, name := range names {
		p.header = append(p.header, columnNamed(name))
	}
}

// field returns one field of a line, or "".
func (p *sheetParser) field(line string, i int) string {
	quoted := p.quoted
	fields := p.fields(line)
	p.quoted = quoted
	if i >= len(fields) {
		return ""
	}
	return fields[i]
}

// isTitle reports whether a field looks like the name of a column.
func isTitle(field string) bool {
	field = strings.ToLower(strings.TrimSpace(field))
	return !placeholder(field) && (strings.Contains(field, "serial") || strings.Contains(field, "hash"))
}

// looksLikeHash reports whether a field is a hardware hash, which may be damaged. All
// start with the base64 of "OA".
func looksLikeHash(field string) bool {
	return strings.HasPrefix(field, "T0") && len(field) > 100
}

// missing counts what of some names is not in others.
func missing(names, others []string) int {
	n := 0
	for _, name := range names {
		if !slices.Contains(others, name) {
			n++
		}
	}
	return n
}

// checkHeader reports what is not as the format has it, and passes over columns
// that are not the format's.
func (p *sheetParser) checkHeader(n int, names, want []string) {
	var kept []string
	for i, c := range p.header {
		if c == nil || !slices.Contains(want, c.name) || slices.Contains(kept, c.name) {
			p.find(n, true, "extra-column", "column %d, %q, is not one of the format", i+1, names[i])
			p.header[i] = nil
			continue
		}
		kept = append(kept, c.name)
		if names[i] != c.name {
			p.find(n, true, "header", "column %d is called %q, not %q", i+1, names[i], c.name)
		}
	}
	if !slices.Equal(kept, want[:min(len(kept), len(want))]) {
		p.find(n, true, "header", "the columns are %s, and should be in the order %s", strings.Join(kept, ", "), strings.Join(want, ", "))
	}
}

// row reads a device.
func (p *sheetParser) row(n int, fields []string) {
	if len(fields) != len(p.header) {
		p.find(n, true, "field-count", "the line has %s, and the header %d", count(len(fields), "field"), len(p.header))
	}
	r := Row{Line: n}
	for i, text := range fields {
		if i < len(p.header) && p.header[i] != nil {
			*p.header[i].field(&r) = strings.TrimSpace(text)
		}
	}
	p.sheet.Rows = append(p.sheet.Rows, r)
}

// closed splits a line as fields does. If a quotation mark in it is not closed, that is a
// finding, and the marks of the line are passed over.
func (p *sheetParser) closed(n int, line string) []string {
	quoted := p.quoted
	fields := p.fields(line)
	if !p.open {
		return fields
	}
	p.quoted = quoted
	p.find(n, true, "quotes", "a quotation mark is not closed")
	return p.fields(strings.ReplaceAll(line, `"`, ""))
}

// fields splits a line. Within quotation marks a separator belongs to the field,
// and two marks stand for one. A field does not reach over the end of the line.
func (p *sheetParser) fields(line string) []string {
	var fields []string
	var b strings.Builder
	inside := false
	for i := 0; i < len(line); {
		r, size := utf8.DecodeRuneInString(line[i:])
		switch {
		case r == '"' && inside && strings.HasPrefix(line[i+1:], `"`):
			b.WriteByte('"')
			size = 2
		case r == '"' && (inside || strings.TrimSpace(b.String()) == ""):
			p.quoted = true
			inside = !inside
			if inside {
				b.Reset()
			}
		case r == p.separator && !inside:
			fields = append(fields, b.String())
			b.Reset()
		default:
			b.WriteString(line[i : i+size])
		}
		i += size
	}
	p.open = inside
	return append(fields, b.String())
}

// count returns a number of things in words.
func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return strconv.Itoa(n) + " " + noun + "s"
}
