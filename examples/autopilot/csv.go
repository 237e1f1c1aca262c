package main

import (
	"bytes"
	"errors"
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
		if err != nil && o.args[1] == "lint" && errors.Is(err, autopilot.ErrMalformed) {
			return err // what lint looks for
		}
		if err != nil {
			return wrong(err)
		}
		sheets = append(sheets, s)
		if o.args[1] == "lint" {
			if err := o.lint(stdout, s); err != nil {
				failed = err
			}
		}
	}
	switch o.args[1] {
	case "lint":
		return failed
	case "merge":
		merged := autopilot.Merge(sheets...)
		printFindings(stderr, merged.Findings)
		merged.Name = "in the result"
		warn(stderr, merged)
		return command.Contents(strings.Join(o.args[2:], ", "), o.write(stdout, merged.Format, merged.Rows))
	}
	warn(stderr, &autopilot.Sheet{Name: sheets[0].Name, Format: autopilot.Format(o.format), Rows: sheets[0].Rows})
	return command.Contents(o.args[2], o.write(stdout, autopilot.Format(o.format), sheets[0].Rows))
}

// warn says what the service would refuse of rows, and reports whether there is any. What
// goes away when the file is written is not said.
func warn(stderr io.Writer, s *autopilot.Sheet) bool {
	findings := (&autopilot.Sheet{Name: s.Name, Format: s.Format, Rows: s.Rows}).Lint()
	findings = slices.DeleteFunc(findings, func(f autopilot.Finding) bool { return !f.Refused || f.ID == "unpadded" })
	printFindings(stderr, findings)
	return len(findings) > 0
}

// readSheet reads a file of devices.
func readSheet(name string) (*autopilot.Sheet, error) {
	text, err := command.ReadFile(name)
	if err != nil {
		return nil, err
	}
	s, err := autopilot.ReadCSV(bytes.NewReader(text))
	if err != nil {
		return nil, command.Contents(name, err)
	}
	s.Name = name
	return s, nil
}

// lint prints the findings of a file.
func (o *options) lint(stdout io.Writer, s *autopilot.Sheet) error {
	findings := s.Lint()
	if o.json {
		for _, f := range findings {
			if err := command.WriteJSONLine(stdout, f); err != nil {
				return err
			}
		}
	} else {
		fmt.Fprintf(stdout, "%s: %s, format %s\n", s.Name, command.Count(len(s.Rows), "device"), s.Format)
	}
	return o.judge(stdout, findings)
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
