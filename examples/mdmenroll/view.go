package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/whiteglove/whiteglove/mdm/esp"
)

// A view shows the status page. On a terminal it overwrites the page that it
// showed before; elsewhere it prints a page that differs from the last one.
type view struct {
	out      io.Writer
	terminal bool
	lines    int    // of the last page
	last     string // the last page
}

// show shows the page of a report.
func (v *view) show(r *esp.Report) {
	text := page(r)
	switch {
	case v.terminal && v.lines > 0:
		fmt.Fprintf(v.out, "\x1b[%dA\x1b[J%s", v.lines, text)
	case v.terminal || text != v.last:
		fmt.Fprint(v.out, text)
	}
	v.lines, v.last = strings.Count(text, "\n"), text
}

// page returns the page as text.
func page(r *esp.Report) string {
	var b strings.Builder
	done, total := r.Progress()
	fmt.Fprintf(&b, "status page  %s, %d of %d\n", r.State, done, total)
	for _, c := range r.Categories {
		fmt.Fprintf(&b, "  %-22s %s\n", c.Title, c.Text)
		for _, s := range c.Steps {
			fmt.Fprintf(&b, "    %-40s %s\n", s.Title, s.Text)
		}
	}
	return b.String()
}
