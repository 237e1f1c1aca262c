package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

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

// evidence prints what files show, and what codes beside them mean.
func (o *options) evidence(ctx context.Context, stdout io.Writer, paths, codes []string) error {
	c := evidence.Case{Personal: o.personal}
	for _, path := range paths {
		var err error
		if path == "-" {
			err = c.Add(ctx, stdinName, o.stdin)
		} else {
			err = c.AddPath(ctx, path)
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
	case len(unread) > 0 || unknown != nil:
		return errors.Join(append(unread, unknown)...)
	}
	return nil
}

// unreadable returns an error for each path in which there is nothing to judge.
func unreadable(sources []evidence.Source, paths []string) (unread []error) {
	for _, path := range paths {
		if path == "-" {
			path = stdinName
		}
		n, readable, problem := 0, false, ""
		for _, s := range sources {
			if !within(s.Name, path) {
				continue
			}
			archive := strings.HasSuffix(s.Kind, "archive") || s.Kind == "cabinet"
			readable = readable || s.Records > 0 && !archive
			if n++; problem == "" && len(s.Problems) > 0 {
				problem = ": " + s.Problems[0]
			}
			if n == 1 && !archive && problem == "" {
				problem = ": it is empty"
			}
		}
		if !readable {
			unread = append(unread, fmt.Errorf("%s: %s, and there is no evidence in it%s", path, command.Count(n, "file"), problem))
		}
	}
	return unread
}

// within reports whether a source is a file, one in an archive or one in a folder.
func within(source, path string) bool {
	rel, err := filepath.Rel(path, source)
	return source == path || strings.HasPrefix(source, path+"!") || err == nil && filepath.IsLocal(rel)
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
