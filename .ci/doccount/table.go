package main

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"
)

const (
	mostEntries = 40 // entries that a package may have
	slack       = 5  // percentage points by which a share may fall
)

// A table has one row for each package.
type table []*row

var header = []string{"package", "entries", "names", "methods", "fields", "bare", "long", "failing", "unnamed", "comment"}

// columns returns the numbers in the order of the header.
func (r *row) columns() []*int {
	return []*int{&r.Entries, &r.Names, &r.Methods, &r.Fields, &r.Bare, &r.Long, &r.Failing, &r.Unnamed, &r.Comment}
}

// print writes the library, then the test doubles.
func (t table) print(w io.Writer) error {
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(tw, strings.Join(header, "\t")+"\t")
	for _, doubles := range []bool{false, true} {
		for _, r := range t {
			if r.Double != doubles {
				continue
			}
			fmt.Fprint(tw, r.Package, "\t")
			for _, n := range r.columns() {
				fmt.Fprint(tw, *n, "\t")
			}
			fmt.Fprintln(tw)
		}
	}
	return tw.Flush()
}

// parse reads what print has written.
func parse(text string) (table, error) {
	var t table
	for n, line := range strings.Split(strings.TrimSpace(text), "\n") {
		fields := strings.Fields(line)
		r := &row{}
		columns := r.columns()
		if len(fields) != 1+len(columns) {
			return nil, fmt.Errorf("line %d: %d columns instead of %d", n+1, len(fields), 1+len(columns))
		}
		if n == 0 {
			continue
		}
		r.Package, r.Double = fields[0], double(fields[0])
		for i, column := range columns {
			var err error
			if *column, err = strconv.Atoi(fields[i+1]); err != nil {
				return nil, fmt.Errorf("line %d: %w", n+1, err)
			}
		}
		t = append(t, r)
	}
	return t, nil
}

// compare returns what has become worse.
func compare(old, now table) []error {
	before := map[string]*row{}
	for _, r := range old {
		before[r.Package] = r
	}
	var worse []error
	for _, r := range now {
		complain := func(format string, args ...any) {
			worse = append(worse, fmt.Errorf(r.Package+": "+format, args...))
		}
		was, known := before[r.Package]
		if !known {
			was = &row{}
		}
		// A package that had too many may lose them step by step.
		if most := max(mostEntries, was.Entries); r.Entries > most {
			complain("%d entries in its documentation; at most %d are allowed", r.Entries, most)
		}
		if r.Bare > was.Bare {
			complain("%d names have no doc comment; %d were allowed", r.Bare, was.Bare)
		}
		if r.Unnamed > was.Unnamed {
			complain("%d functions do not name their errors; %d were allowed", r.Unnamed, was.Unnamed)
		}
		if is, had := r.longShare(), was.longShare(); is < had-slack {
			complain("%d %% of the doc comments have more than one sentence; it was %d %%", is, had)
		}
		if r.Comment < was.Comment-slack {
			complain("%d %% of the lines are comments; it was %d %%", r.Comment, was.Comment)
		}
	}
	return worse
}

// longShare returns the share of names and methods with a long comment in percent.
func (r *row) longShare() int { return 100 * r.Long / max(1, r.Names+r.Methods) }
