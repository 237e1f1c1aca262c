package main

import (
	"bufio"
	"fmt"
	"io"
	"strings"

	"github.com/whiteglove/whiteglove/diagnose/evidence"
)

// Colors of a terminal.
const (
	red    = "\x1b[31;1m"
	yellow = "\x1b[33m"
	plain  = "\x1b[0m"
)

// writeReport writes a report as text for people.
func writeReport(w io.Writer, r *evidence.Report, timeline, color bool) error {
	b := bufio.NewWriter(w)
	paint := func(code, text string) string {
		if !color {
			return text
		}
		return code + text + plain
	}
	if len(r.Findings) == 0 {
		fmt.Fprintln(b, noFault(r.Sources))
	}
	for i, f := range r.Findings {
		if i > 0 {
			fmt.Fprintln(b)
		}
		code := yellow
		if f.First {
			code = red
		}
		fmt.Fprintln(b, paint(code, f.Title))
		writeFinding(b, f)
	}
	if timeline {
		fmt.Fprintln(b, "\ntime line")
		for _, e := range r.Timeline {
			line := e.String()
			if e.Level == "error" {
				line = paint(red, line)
			}
			fmt.Fprintln(b, " ", line)
		}
	}
	for _, s := range r.Sources {
		for _, p := range s.Problems {
			fmt.Fprintf(b, "\nnote: %s: %s", s.Name, p)
		}
	}
	fmt.Fprintln(b)
	return b.Flush()
}

// writeFinding writes a line for each thing known.
func writeFinding(w io.Writer, f evidence.Finding) {
	line := func(name, value string) {
		if value != "" {
			fmt.Fprintf(w, "  %-10s %s\n", name, value)
		}
	}
	line("phase", f.Phase)
	line("confidence", f.Confidence)
	line("because", strings.Join(f.Because, ", "))
	line("causes", strings.Join(f.Causes, ", "))
	for _, e := range f.Evidence {
		line("evidence", fmt.Sprintf("%s: %s", e.Ref, e.Text))
	}
	if f.Confidence != "certain" {
		line("not found", strings.Join(f.Sought, "; "))
	}
	line("collect", f.Collect)
	line("remedy", f.Remedy)
	line("rule", f.ID+" ("+f.Source+")")
}
