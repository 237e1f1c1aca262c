package main

import (
	"bytes"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"

	"github.com/whiteglove/whiteglove/autopilot"
	"github.com/whiteglove/whiteglove/examples/internal/command"
)

// csv lints, merges or converts files of devices.
func (o *options) csv(stdout, stderr io.Writer) error {
	var sheets []*autopilot.Sheet
	var failed error
	for _, name := range o.args[2:] {
		s, err := readSheet(name)
		if err != nil {
			return err
		}
		sheets = append(sheets, s)
		if o.args[1] == "lint" {
			if err := o.lint(stdout, name, s); err != nil {
				failed = err
			}
		}
	}
	switch o.args[1] {
	case "lint":
		return failed
	case "merge":
		merged := autopilot.Merge(sheets...)
		for _, f := range merged.Findings {
			fmt.Fprintln(stderr, f)
		}
		return o.write(stdout, merged.Format, merged.Rows)
	}
	return o.write(stdout, autopilot.Format(o.format), sheets[0].Rows)
}

// readSheet reads a file of devices.
func readSheet(name string) (*autopilot.Sheet, error) {
	text, err := command.ReadFile(name)
	if err != nil {
		return nil, err
	}
	s, err := autopilot.ReadCSV(bytes.NewReader(text))
	return s, command.At(name, err)
}

// lint prints the findings of a file.
func (o *options) lint(stdout io.Writer, name string, s *autopilot.Sheet) error {
	findings := s.Lint()
	if o.json {
		for _, f := range findings {
			line := struct {
				File string `json:"file"`
				autopilot.Finding
			}{name, f}
			if err := command.WriteJSONLine(stdout, line); err != nil {
				return err
			}
		}
	} else {
		fmt.Fprintf(stdout, "%s: %s, format %s\n", name, command.Count(len(s.Rows), "device"), s.Format)
	}
	return o.judge(stdout, name+": ", findings)
}

// write writes devices to the standard output, or to as many files as the portal
// needs.
func (o *options) write(stdout io.Writer, f autopilot.Format, rows []autopilot.Row) error {
	if o.out == "" {
		return autopilot.WriteCSV(stdout, f, rows)
	}
	n := 0
	for part := range slices.Chunk(rows, autopilot.MaxRows) {
		var b bytes.Buffer
		if err := autopilot.WriteCSV(&b, f, part); err != nil {
			return err
		}
		name := o.out
		if n++; n > 1 {
			ext := filepath.Ext(name)
			name = fmt.Sprintf("%s-%d%s", strings.TrimSuffix(name, ext), n, ext)
		}
		if err := command.WriteFile(name, b.Bytes()); err != nil {
			return err
		}
		fmt.Fprintf(stdout, "%s: %s\n", name, command.Count(len(part), "device"))
	}
	return nil
}
