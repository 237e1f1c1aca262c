package main

import (
	"context"
	"fmt"
	"io"
	"os"

	"github.com/whiteglove/whiteglove/diagnose/evidence"
	"github.com/whiteglove/whiteglove/examples/internal/command"
)

// exitFault is the exit code if the evidence shows a fault.
const exitFault = 3

// A result is what -json prints for evidence.
type result struct {
	Codes []reading `json:"codes,omitempty"`
	*evidence.Report
}

// split tells arguments that name files from those that are codes. What names a file
// and is a code, too, is taken for the file.
func (o *options) split() (paths, codes []string) {
	for _, arg := range o.args {
		if _, err := os.Stat(arg); err == nil || arg == "-" {
			paths = append(paths, arg)
		} else {
			codes = append(codes, arg)
		}
	}
	return paths, codes
}

// evidence prints what files show, and what codes beside them mean.
func (o *options) evidence(ctx context.Context, stdout io.Writer, paths, codes []string) error {
	c := evidence.Case{Personal: o.personal}
	for _, path := range paths {
		var err error
		if path == "-" {
			err = c.Add(ctx, "standard input", o.stdin)
		} else {
			err = c.AddPath(ctx, path)
		}
		if err != nil {
			return err
		}
	}
	report := c.Report()
	found, known := decode(codes)
	if err := o.print(stdout, report, found); err != nil {
		return err
	}
	if o.html != "" {
		if err := command.WriteFile(o.html, page(report)); err != nil {
			return err
		}
	}
	if o.traffic != "" {
		if err := annotate(o.args[0], o.traffic); err != nil {
			return err
		}
	}
	switch {
	case len(report.Findings) > 0:
		return &command.ExitError{Code: exitFault}
	case !known:
		return &command.ExitError{Code: 1}
	}
	return nil
}

func (o *options) print(stdout io.Writer, report *evidence.Report, found []reading) error {
	if o.json {
		return writeJSON(stdout, result{found, report})
	}
	if len(found) > 0 {
		if err := writeText(stdout, found); err != nil {
			return err
		}
		fmt.Fprintln(stdout)
	}
	color := command.IsTerminal(stdout) && os.Getenv("NO_COLOR") == ""
	return writeReport(stdout, report, o.timeline, color)
}
