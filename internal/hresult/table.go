package hresult

import (
	_ "embed"
	"fmt"
	"strconv"
	"strings"
	"sync"
)

//go:embed codes.txt
var text string

// The values of [Family.Kind]: how the codes of a family are written.
const (
	KindHRESULT = "hresult" // eight hexadecimal digits
	KindNumber  = "number"  // decimal
	KindEvent   = "event"   // decimal; a row may have a range
	KindText    = "text"    // words; see [Texts]
)

// A Family is a set of codes of one kind and origin. Numbers of different families
// are independent.
type Family struct {
	Name  string // such as "MENROLL"
	Kind  string // one of the Kind constants
	Title string // such as "device enrollment (MENROLL)"

	defaults Row // values for cells that a row leaves empty
}

// A Row describes one code, or a range of events.
type Row struct {
	Family    *Family
	Low, High uint32   // first and last code; the same unless the row is a range; the number of the row for a text
	Text      string   // words of a row of KindText, empty for others
	lower     string   // Text in lower case
	Symbols   []string // names, the usual one first; empty if there is no public one
	Steps     []string // steps of the run in which the code occurs; nil means any
	Meaning   string   // a phrase
	Causes    string   // likely causes, a phrase
	Remedy    string   // whole sentences for a technician
	Source    string   // how sure the row is: one of the values of Sources
}

// Symbol returns the usual name of the code, or "" if it has no public one.
func (r *Row) Symbol() string {
	if len(r.Symbols) == 0 {
		return ""
	}
	return r.Symbols[0]
}

// Sources maps the marks in the table to the values of [Row.Source].
var Sources = map[string]string{
	"D": "documented",
	"C": "observed",
	"I": "inferred",
	"X": "community",
}

// A table is the parsed codes.txt.
type table struct {
	rows     []*Row
	remedies map[string]string // by name
	hresults map[uint32][]*Row
	symbols  map[string][]*Row // by symbol in upper case
	families map[string][]*Row // by name
	texts    []*Row
}

// loaded returns the table, which it parses at the first call. A test makes sure
// that this succeeds.
var loaded = sync.OnceValue(func() *table {
	t, _ := parse(text)
	return t
})

// Rows returns all rows in the order of the table. They must not be changed.
func Rows() []*Row { return loaded().rows }

// Find returns the rows of an HRESULT, the likeliest first. It returns nil if there is
// none.
func Find(code uint32) []*Row { return loaded().hresults[code] }

// Named returns the rows with a symbol, whose case it ignores. It returns nil if there
// is none.
func Named(symbol string) []*Row { return loaded().symbols[strings.ToUpper(symbol)] }

// Numbered returns the row with the number n in the family of that name, or nil.
func Numbered(family string, n uint32) *Row {
	for _, r := range loaded().families[family] {
		if r.Low <= n && n <= r.High {
			return r
		}
	}
	return nil
}

// Symbol returns the usual name of an HRESULT, or "" if it has no public one.
func Symbol(code uint32) string {
	if rows := Find(code); len(rows) > 0 {
		return rows[0].Symbol()
	}
	return ""
}

// parse reads a table. The error names the line; the table then has the rows before
// it.
func parse(text string) (*table, error) {
	t := &table{
		remedies: map[string]string{},
		hresults: map[uint32][]*Row{},
		symbols:  map[string][]*Row{},
		families: map[string][]*Row{},
	}
	var family *Family
	n := 0
	for line := range strings.Lines(text) {
		n++
		line = strings.TrimRight(line, "\n")
		cells := strings.Split(line, "|")
		for i := range cells {
			cells[i] = strings.TrimSpace(cells[i])
		}
		var err error
		switch {
		case line == "" || line[0] == '#':
		case line[0] == '@':
			err = t.remedy(cells)
		case line[0] == '=':
			family, err = t.family(cells)
		default:
			err = t.row(family, cells)
		}
		if err != nil {
			return t, fmt.Errorf("line %d: %w: %s", n, err, line)
		}
	}
	return t, nil
}

// remedy reads a line with a named remedy.
func (t *table) remedy(cells []string) error {
	name := strings.TrimSpace(strings.TrimPrefix(cells[0], "@"))
	if len(cells) != 2 || name == "" || cells[1] == "" || t.remedies[name] != "" {
		return fmt.Errorf("remedy %q is malformed or occurs twice", name)
	}
	t.remedies[name] = cells[1]
	return nil
}

// family reads a line with a family.
func (t *table) family(cells []string) (*Family, error) {
	if len(cells) != 7 {
		return nil, fmt.Errorf("%d columns, want 7", len(cells))
	}
	f := &Family{Name: strings.TrimSpace(strings.TrimPrefix(cells[0], "=")), Kind: cells[1], Title: cells[2]}
	f.defaults = Row{Steps: steps(cells[3]), Source: Sources[cells[4]], Causes: cells[5]}
	var err error
	f.defaults.Remedy, err = t.resolve(cells[6])
	switch {
	case err != nil:
		return nil, err
	case f.Kind != KindHRESULT && f.Kind != KindNumber && f.Kind != KindEvent && f.Kind != KindText:
		return nil, fmt.Errorf("kind %q", f.Kind)
	case f.defaults.Source == "":
		return nil, fmt.Errorf("source %q", cells[4])
	case f.Name == "" || f.Title == "" || t.families[f.Name] != nil:
		return nil, fmt.Errorf("family %q is malformed or occurs twice", f.Name)
	}
	return f, nil
}

// rowColumns is the number of columns of a row. Empty ones at its end may be left
// out.
const rowColumns = 7

// row reads a line with a code of the family f.
func (t *table) row(f *Family, cells []string) error {
	if f == nil || len(cells) < 4 || len(cells) > rowColumns {
		return fmt.Errorf("%d columns, or no family", len(cells))
	}
	cells = append(cells, make([]string, rowColumns-len(cells))...)
	r, err := t.template(f, cells[3])
	if err != nil {
		return err
	}
	if f.Kind == KindText {
		r.Text, r.lower = cells[0], strings.ToLower(cells[0])
		r.Low = uint32(len(t.families[f.Name])) + 1
		r.High = r.Low
	} else if r.Low, r.High, err = f.codes(cells[0]); err != nil {
		return err
	}
	if cells[1] != "-" {
		r.Symbols = strings.Fields(cells[1])
	}
	if cells[2] != "" {
		r.Steps = steps(cells[2])
	}
	if cells[4] != "" {
		r.Causes = cells[4]
	}
	if cells[5] != "" {
		if r.Remedy, err = t.resolve(cells[5]); err != nil {
			return err
		}
	}
	if cells[6] != "" {
		r.Source = Sources[cells[6]]
	}
	if r.Meaning == "" || r.Causes == "" || r.Remedy == "" || r.Source == "" {
		return fmt.Errorf("meaning, causes, remedy or source is missing")
	}
	if before := t.families[f.Name]; len(before) > 0 && before[len(before)-1].High >= r.Low {
		return fmt.Errorf("out of order, or occurs twice")
	}
	t.add(&r)
	return nil
}

// template returns a row of f with its meaning. If that is "=CODE", it is the row
// of that HRESULT.
func (t *table) template(f *Family, meaning string) (Row, error) {
	r := f.defaults
	r.Meaning = meaning
	if cell, ok := strings.CutPrefix(meaning, "="); ok {
		code, err := strconv.ParseUint(cell, 16, 32)
		if err != nil || len(t.hresults[uint32(code)]) == 0 || f.Kind != KindText {
			return r, fmt.Errorf("no row %q", cell)
		}
		r = *t.hresults[uint32(code)][0]
		r.Symbols = nil
	}
	r.Family = f
	return r, nil
}

// add adds a row to the table and its indexes.
func (t *table) add(r *Row) {
	t.rows = append(t.rows, r)
	t.families[r.Family.Name] = append(t.families[r.Family.Name], r)
	switch r.Family.Kind {
	case KindHRESULT:
		t.hresults[r.Low] = append(t.hresults[r.Low], r)
	case KindText:
		t.texts = append(t.texts, r)
	}
	for _, s := range r.Symbols {
		s = strings.ToUpper(s)
		t.symbols[s] = append(t.symbols[s], r)
	}
}

// resolve returns the remedy in a cell: the text of the cell, or the named remedy.
func (t *table) resolve(cell string) (string, error) {
	name, ok := strings.CutPrefix(cell, "@")
	if !ok {
		return cell, nil
	}
	if t.remedies[name] == "" {
		return "", fmt.Errorf("no remedy %q", name)
	}
	return t.remedies[name], nil
}

// codes reads a code or a range in the form of f.
func (f *Family) codes(cell string) (low, high uint32, err error) {
	if f.Kind == KindHRESULT {
		if len(cell) != 8 || cell != strings.ToUpper(cell) {
			return 0, 0, fmt.Errorf("code %q is not eight hexadecimal digits", cell)
		}
		v, err := strconv.ParseUint(cell, 16, 32)
		return uint32(v), uint32(v), err
	}
	first, last, isRange := strings.Cut(cell, "-")
	if !isRange {
		last = first
	}
	a, err := strconv.ParseUint(first, 10, 32)
	if err != nil {
		return 0, 0, err
	}
	b, err := strconv.ParseUint(last, 10, 32)
	if err != nil {
		return 0, 0, err
	}
	if isRange && (f.Kind != KindEvent || a >= b) {
		return 0, 0, fmt.Errorf("range %q", cell)
	}
	return uint32(a), uint32(b), nil
}

// steps reads a list of steps. It returns nil, which means any, if the list has
// "any".
func steps(cell string) []string {
	list := strings.Fields(cell)
	for _, s := range list {
		if s == "any" {
			return nil
		}
	}
	return list
}
