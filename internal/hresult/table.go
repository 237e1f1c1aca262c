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

// Kinds of families: how their codes are written.
const (
	KindHRESULT = "hresult" // eight hexadecimal digits
	KindNumber  = "number"  // decimal
	KindEvent   = "event"   // decimal, may be a range
)

// A Family is a set of codes that are counted together.
type Family struct {
	Name  string // "MENROLL"
	Kind  string
	Title string // "device enrollment (MENROLL)"

	defaults Row
}

// A Row is what is known of one code, or of a range of events.
type Row struct {
	Family    *Family
	Low, High uint32 // the same, but for a range
	Symbols   []string
	Steps     []string // nil: any
	Meaning   string
	Causes    string
	Remedy    string
	Source    string // one of the values of Sources
}

// Symbol returns the usual name of the code, or "" if it has no public one.
func (r *Row) Symbol() string {
	if len(r.Symbols) == 0 {
		return ""
	}
	return r.Symbols[0]
}

// Sources are the marks of the table and what they mean.
var Sources = map[string]string{
	"D": "documented",
	"C": "observed",
	"I": "inferred",
	"X": "community",
	"K": "memory",
}

// table is codes.txt, read.
type table struct {
	rows     []*Row
	remedies map[string]string
	hresults map[uint32][]*Row
	symbols  map[string][]*Row // by upper case
	families map[string][]*Row
}

// loaded is the table, read when it is first needed. A test reads it, too, so
// that it has no error.
var loaded = sync.OnceValue(func() *table {
	t, _ := parse(text)
	return t
})

// Rows returns the whole table in its order. It must not be changed.
func Rows() []*Row { return loaded().rows }

// Find returns the rows of an HRESULT, likeliest first.
func Find(code uint32) []*Row { return loaded().hresults[code] }

// Named returns the rows with a symbol, in any case.
func Named(symbol string) []*Row { return loaded().symbols[strings.ToUpper(symbol)] }

// Numbered returns the row of a number in a family, or nil.
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

// parse reads a table. With an error, which names the line, it returns what
// was read before.
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

func (t *table) remedy(cells []string) error {
	name := strings.TrimSpace(strings.TrimPrefix(cells[0], "@"))
	if len(cells) != 2 || name == "" || cells[1] == "" || t.remedies[name] != "" {
		return fmt.Errorf("remedy %q is malformed or there twice", name)
	}
	t.remedies[name] = cells[1]
	return nil
}

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
	case f.Kind != KindHRESULT && f.Kind != KindNumber && f.Kind != KindEvent:
		return nil, fmt.Errorf("kind %q", f.Kind)
	case f.defaults.Source == "":
		return nil, fmt.Errorf("source %q", cells[4])
	case f.Name == "" || f.Title == "" || t.families[f.Name] != nil:
		return nil, fmt.Errorf("family %q is malformed or there twice", f.Name)
	}
	return f, nil
}

// rowColumns are the columns of a row; those at the end may be left out.
const rowColumns = 7

func (t *table) row(f *Family, cells []string) error {
	if f == nil || len(cells) < 4 || len(cells) > rowColumns {
		return fmt.Errorf("%d columns, or no family", len(cells))
	}
	cells = append(cells, make([]string, rowColumns-len(cells))...)
	r := f.defaults
	r.Family, r.Meaning = f, cells[3]
	var err error
	if r.Low, r.High, err = f.codes(cells[0]); err != nil {
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
		return fmt.Errorf("out of order, or there twice")
	}
	t.add(&r)
	return nil
}

func (t *table) add(r *Row) {
	t.rows = append(t.rows, r)
	t.families[r.Family.Name] = append(t.families[r.Family.Name], r)
	if r.Family.Kind == KindHRESULT {
		t.hresults[r.Low] = append(t.hresults[r.Low], r)
	}
	for _, s := range r.Symbols {
		s = strings.ToUpper(s)
		t.symbols[s] = append(t.symbols[s], r)
	}
}

// resolve returns the remedy of a cell: its text, or that which it names.
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

// codes reads a code as f writes it.
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

// steps reads a list of steps; a list with "any" is nil, which means any.
func steps(cell string) []string {
	list := strings.Fields(cell)
	for _, s := range list {
		if s == "any" {
			return nil
		}
	}
	return list
}
