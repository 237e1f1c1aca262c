package main

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/whiteglove/whiteglove/diagnose/evidence"
	"github.com/whiteglove/whiteglove/examples/internal/command"
)

// give says what is evidence.
const give = "MDMDiagReport.zip, event logs or registry exports"

// unreadable returns an error for each path in which there is nothing to judge.
func unreadable(sources []evidence.Source, paths []string) (unread []error) {
	for _, path := range paths {
		if err := unreadPath(sources, path); err != nil {
			unread = append(unread, err)
		}
	}
	return unread
}

// unreadPath returns an error if nothing of a path is evidence.
func unreadPath(sources []evidence.Source, path string) error {
	if path == "-" {
		path = stdinName
	}
	var own *evidence.Source // of the path itself
	var files []evidence.Source
	for i, s := range sources {
		switch {
		case !within(s.Name, path):
		case s.Known:
			return nil
		case s.Name == path:
			own = &sources[i]
		case !isArchive(s) || len(s.Problems) > 0:
			files = append(files, s)
		}
	}
	switch {
	case own == nil && len(files) == 0:
		return fmt.Errorf("%s: there is no evidence in it: give the folder with %s", path, give)
	case len(files) == 0:
		return unreadFile(*own)
	}
	first := files[0]
	name := strings.TrimPrefix(strings.TrimPrefix(first.Name, path), "!")
	if rel, err := filepath.Rel(path, first.Name); err == nil && own == nil {
		name = rel
	}
	what := "archive"
	if own == nil {
		what = "files"
	}
	switch why := reason(first); {
	case isDamage(first) && len(files) == 1:
		return fmt.Errorf("%s: %s in it cannot be read: %s. Copy the %s from the device again", path, name, why, what)
	case isDamage(first):
		return fmt.Errorf("%s: none of %s in it is evidence; the first, %s: %s. Copy the %s from the device again", path, command.Count(len(files), "file"), name, why, what)
	case len(files) == 1:
		return fmt.Errorf("%s: there is no evidence in it that can be read (%s: %s). Give %s", path, name, why, give)
	default:
		return fmt.Errorf("%s: none of %s in it is evidence; the first, %s: %s. Give %s", path, command.Count(len(files), "file"), name, why, give)
	}
}

// unreadFile returns the error of a file that has no files in it.
func unreadFile(s evidence.Source) error {
	switch {
	case s.Name == stdinName && s.Records == 0 && len(s.Problems) == 0:
		return errors.New("nothing came on standard input: pipe a log to it, or name a PATH")
	case isArchive(s) && len(s.Problems) == 0:
		return fmt.Errorf("%s: there is no evidence in it. Give %s", s.Name, give)
	case isDamage(s):
		return fmt.Errorf("%s: %s. Copy it from the device again, and whole", s.Name, reason(s))
	}
	return fmt.Errorf("%s: there is no evidence in it: %s. Give %s", s.Name, reason(s), give)
}

// reason says why a source is no evidence.
func reason(s evidence.Source) string {
	switch {
	case len(s.Problems) > 0:
		return s.Problems[0]
	case s.Records == 0:
		return "the file is empty"
	}
	return "no code, time or event in it is known"
}

// isDamage reports whether a source would be evidence if it were whole.
func isDamage(s evidence.Source) bool {
	return s.Records == 0 && !strings.HasPrefix(reason(s), "neither text")
}

// isArchive reports whether a source has others in it.
func isArchive(s evidence.Source) bool {
	return strings.HasSuffix(s.Kind, "archive") || s.Kind == "cabinet"
}

// within reports whether a source is a file, one in an archive or one in a folder.
func within(source, path string) bool {
	rel, err := filepath.Rel(path, source)
	return source == path || strings.HasPrefix(source, path+"!") || err == nil && filepath.IsLocal(rel)
}

// noFault says in how many files no fault is known, and how many are no evidence.
func noFault(sources []evidence.Source) string {
	known, others := 0, 0
	for _, s := range sources {
		switch {
		case s.Known:
			known++
		case !isArchive(s) || len(s.Problems) > 0:
			others++
		}
	}
	text := "no known fault in " + command.Count(known, "file")
	if others > 0 {
		text += fmt.Sprintf("; %s without evidence", command.Count(others, "other"))
	}
	return text
}
