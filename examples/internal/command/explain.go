package command

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/whiteglove/whiteglove/diagnose"
	"github.com/whiteglove/whiteglove/internal/wire"
)

// Explain returns err on one line, as package diagnose reads it: what failed and
// where, the code that Windows has for it, the remedy, and the ID by which the operator of the
// service finds the request; then the notes, which are
// whole sentences. It begins with where an error of [At] belongs to. Of joined errors
// it explains each. Flags are named as by [Remedy].
func Explain(err error, notes ...string) string {
	line := joined(explain(err, true))
	for _, note := range notes {
		if note != "" {
			line = strings.TrimSuffix(line, ".") + ". " + note
		}
	}
	return Remedy(OneLine(line))
}

// Remedy returns a remedy of a library package, which says of flags that they are "in the
// programs", as it is said to who runs one.
func Remedy(text string) string { return strings.ReplaceAll(text, "(in the programs: ", "(") }

// joined returns explanations as one text.
func joined(lines []string) string {
	for i := range lines[1:] {
		lines[i] = strings.TrimSuffix(lines[i], ".") + "."
	}
	return strings.Join(lines, " Also: ")
}

// explain returns the explanation of each error that err joins, or that of err, with the
// operation that failed if op is set.
func explain(err error, op bool) (lines []string) {
	switch e := err.(type) {
	case *ExitError:
		return explain(e.Err, op)
	case *overdue:
		for _, line := range explain(e.err, op) {
			lines = append(lines, strings.Replace(line, "the time limit ended", fmt.Sprintf("the time limit of %v ended", e.after), 1))
		}
		return lines
	case *located:
		for _, line := range explain(e.err, op && !e.contents) {
			lines = append(lines, e.where+": "+line)
		}
		return lines
	case interface{ Unwrap() []error }:
		if all := e.Unwrap(); len(all) == 1 || strings.HasPrefix(err.Error(), all[0].Error()+"\n") { // by errors.Join
			for _, err := range all {
				lines = append(lines, explain(err, op)...)
			}
			return lines
		}
	}
	d := diagnose.Explain(err)
	if !op && d.URL == "" {
		d.Op = ""
	}
	line := d.String()
	if d.RequestID != "" && d.URL != "" && answered(err, d.HTTPStatus) && !strings.Contains(line, d.RequestID) {
		line = strings.TrimSuffix(line, ".") + ". The operator finds the request by its ID, " + d.RequestID + "."
	}
	return []string{line}
}

// answered reports whether a service itself answered a request that failed, and not a
// proxy or a portal in its place.
func answered(err error, status int) bool {
	switch status {
	case 0, http.StatusProxyAuthRequired, http.StatusNetworkAuthenticationRequired:
		return false
	}
	return status/100 != 3 && !errors.Is(err, wire.ErrWebPage)
}

// Reason returns why err occurred, on one line and without the operations that failed
// because of it, their codes and remedies. It is for a message to somebody else.
func Reason(err error) string {
	d := diagnose.Explain(err)
	return OneLine(cmp.Or(d.Cause, d.Message, d.Protocol, err.Error()))
}

// Brief returns err on one line as [Explain] does, but without remedy and step. It is for
// an error that does not end the program.
func Brief(err error) string {
	d := diagnose.Explain(err)
	d.Step, d.Remedy, d.Retryable = "", "", false
	return OneLine(d.String())
}

// At returns err as an error of what where names: a flag, a file or a step. It returns
// nil if err is nil.
func At(where string, err error) error {
	if err == nil {
		return nil
	}
	return &located{where: where, err: err}
}

// Contents is [At] for a file whose contents are not what they should be. The function that
// read or wrote it is not named.
func Contents(file string, err error) error {
	if err == nil {
		return nil
	}
	return &located{where: file, err: err, contents: true}
}

// Wrong is [At] for what a flag names, such as a file that cannot be read: the program was
// called wrongly, and exits with 2. It is for errors before anything is done. The function
// that found it is not named.
func Wrong(flag string, err error) error {
	if err == nil {
		return nil
	}
	return &ExitError{Code: 2, Err: Contents(flag, err)}
}

// Advise returns err with a remedy in the place of its own. It returns nil if err is nil.
func Advise(err error, remedy string) error {
	if err == nil {
		return nil
	}
	return &advised{err, remedy}
}

// An advised is an error with a remedy.
type advised struct {
	error
	remedy string
}

// Remedy returns the remedy.
func (e *advised) Remedy() string { return e.remedy }

// Unwrap returns the error.
func (e *advised) Unwrap() error { return e.error }

// A located is an error of which it is known where it belongs to.
type located struct {
	where    string
	err      error
	contents bool // of the file that where names
}

// Error returns the text of the error after the name of where it belongs to.
func (e *located) Error() string { return e.where + ": " + e.err.Error() }

// Unwrap returns the error.
func (e *located) Unwrap() error { return e.err }

// An overdue is the error of a run that the flag -timeout ended.
type overdue struct {
	err   error
	after time.Duration
}

// Error returns the text of the error.
func (e *overdue) Error() string { return e.err.Error() }

// Unwrap returns the error.
func (e *overdue) Unwrap() error { return e.err }

// Count returns a number of things in words, such as "1 file" or "2 files".
func Count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// OneLine returns text with each run of white space, line ends too, replaced by
// one space, and what else does not print by U+FFFD.
func OneLine(text string) string { return wire.Visible(strings.Join(strings.Fields(text), " ")) }
