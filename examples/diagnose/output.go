package main

import (
	"bufio"
	"cmp"
	"fmt"
	"io"
	"strings"

	"github.com/whiteglove/whiteglove/diagnose"
	"github.com/whiteglove/whiteglove/examples/internal/command"
)

// writeJSON writes v as indented JSON.
func writeJSON(w io.Writer, v any) error {
	text, err := command.JSON(v)
	if err != nil {
		return err
	}
	_, err = w.Write(text)
	return err
}

// writeList writes a line for each code, its columns separated by tabs.
func writeList(w io.Writer, codes []diagnose.Meaning) error {
	b := bufio.NewWriter(w)
	for _, m := range codes {
		fmt.Fprintln(b, strings.Join([]string{m.Name, cmp.Or(m.Symbol, "-"), steps(m), m.Text, m.Causes, m.Remedy, m.Source}, "\t"))
	}
	return b.Flush()
}

// writeText writes the meanings as text for people.
func writeText(w io.Writer, found []reading) error {
	b := bufio.NewWriter(w)
	for i, r := range found {
		if i > 0 {
			fmt.Fprintln(b)
		}
		if len(r.Meanings) == 0 {
			fmt.Fprintf(b, "%s: unknown\n", r.Input)
		}
		for j, m := range r.Meanings {
			if j > 0 {
				fmt.Fprintln(b, "or")
			}
			writeMeaning(b, m)
		}
	}
	return b.Flush()
}

// writeMeaning writes one meaning: its names, and a line for each thing known.
func writeMeaning(w io.Writer, m diagnose.Meaning) {
	fmt.Fprintln(w, strings.TrimSpace(m.Name+" "+m.Symbol))
	for _, line := range []struct{ name, value string }{
		{"meaning", m.Text},
		{"while", m.Phase},
		{"step", steps(m)},
		{"causes", m.Causes},
		{"remedy", m.Remedy},
		{"of", m.Family},
		{"source", m.Source},
	} {
		if line.value != "" {
			fmt.Fprintf(w, "  %-8s %s\n", line.name, line.value)
		}
	}
}

// steps returns the steps in which a code occurs.
func steps(m diagnose.Meaning) string {
	var list []string
	for _, s := range m.Steps {
		list = append(list, string(s))
	}
	return cmp.Or(strings.Join(list, " "), "any")
}
