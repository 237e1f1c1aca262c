package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/whiteglove/whiteglove/diagnose/evidence"
	"github.com/whiteglove/whiteglove/examples/internal/command"
)

// exitFault is the exit code if the evidence shows a fault.
const exitFault = 3

// stdinName is the name of the standard input in reports.
const stdinName = "standard input"

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

// hasPath reports whether an argument names a file.
func (o *options) hasPath() bool {
	paths, _ := o.split()
	return len(paths) > 0
}

// evidence prints what files show, and what codes beside them mean.
func (o *options) evidence(ctx context.Context, stdout io.Writer, paths, codes []string) error {
	annotated, err := o.annotate()
	if err != nil {
		return err
	}
	c := evidence.Case{Personal: o.personal}
	for _, path := range paths {
		var err error
		if path == "-" {
			err = c.Add(ctx, stdinName, o.stdin)
		} else {
			err = c.AddPath(ctx, path)
		}
		var denied *fs.PathError
		if errors.As(err, &denied) {
			return command.At(path, denied.Err)
		}
		if err != nil {
			return err
		}
	}
	c.Personal = true // so that the names of sources are those of the files
	unread := unreadable(c.Report().Sources, paths)
	c.Personal = o.personal
	report := c.Report()
	found, unknown := decode(codes)
	if len(unread) == len(paths) && len(report.Findings) == 0 && len(known(found)) == 0 && !o.json {
		return errors.Join(append(unread, unknown)...) // all that there is to say
	}
	if err := o.print(stdout, report, found); err != nil {
		return err
	}
	if o.html != "" {
		if err := command.WriteFile(o.html, page(report)); err != nil {
			return err
		}
	}
	if err := annotated.write(o.traffic); err != nil {
		return err
	}
	switch {
	case len(report.Findings) > 0:
		return &command.ExitError{Code: exitFault}
	case len(unread) > 0 || unknown != nil:
		return errors.Join(append(unread, unknown)...)
	}
	return nil
}

func (o *options) print(stdout io.Writer, report *evidence.Report, found []reading) error {
	if o.json {
		return writeJSON(stdout, result{found, report})
	}
	if found = known(found); len(found) > 0 {
		if err := writeText(stdout, found); err != nil {
			return err
		}
		fmt.Fprintln(stdout)
	}
	color := command.IsTerminal(stdout) && os.Getenv("NO_COLOR") == ""
	return writeReport(stdout, report, o.timeline, color)
}
