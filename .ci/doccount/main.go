// Command doccount counts how well the library packages are documented and
// fails if they have become worse.
//
// Usage:
//
//	go run ./.ci/doccount [-v] [-check file] [package…]
//
// It prints one row for each package, in two groups: the library, and the test
// doubles (a package "xtest" in the folder of package "x"). Programs under
// examples and internal packages are left out. Without arguments it takes ./...
//
// The columns are:
//
//	entries  what "go doc -short" lists: types, functions, and groups of variables
//	         or constants
//	names    exported types, functions, variables and constants, each one
//	methods  exported methods of exported types and exported methods of exported
//	         interfaces
//	fields   exported fields of exported structs
//	bare     names and methods without a doc comment
//	long     names and methods with a doc comment of more than one sentence
//	failing  exported functions and methods with an error among their results;
//	         Unwrap does not count, because the error is its answer
//	unnamed  failing functions whose doc comment does not name their errors
//	comment  comment lines as a share of comment and code lines, in percent, of
//	         the files that are not tests; directives and blank lines do not count
//
// A function names its errors if its own doc comment, not that of its type, has
// at least one of these:
//
//   - a sentinel: ErrGone, io.EOF, context.Canceled;
//   - an error type: *Error, [Error], *attest.Error, [x509.HostnameError];
//   - a sentence in which the noun "error" or "errors" is said to be something or
//     to come of something: "The error is …", "errors are those of …", "the error
//     of ctx", "an error if …", "returns an error that …". "It returns an error."
//     is not enough;
//   - the words "always nil" or "never fails".
//
// With -v it also prints the functions that do not name their errors and the
// names without a doc comment, with their positions.
//
// With -check it compares the table with an older one and fails if a package has
// more than 40 entries, more bare names or more unnamed failing functions than
// before, or if its share of long names or of comment lines has fallen by more
// than five points. A package that the older table does not have must have
// neither bare names nor unnamed failing functions.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
)

func main() {
	verbose := flag.Bool("v", false, "print what is missing, with positions")
	check := flag.String("check", "", "compare with the table in this `file`")
	flag.Parse()
	if err := run(flag.Args(), *verbose, *check); err != nil {
		fmt.Fprintln(os.Stderr, "doccount:", err)
		os.Exit(1)
	}
}

func run(patterns []string, verbose bool, check string) error {
	folders, err := list(patterns)
	if err != nil {
		return err
	}
	var t table
	var missing []string
	for _, f := range folders {
		c, err := count(f)
		if err != nil {
			return err
		}
		t, missing = append(t, &c.row), append(missing, c.missing...)
	}
	if err := t.print(os.Stdout); err != nil {
		return err
	}
	if verbose {
		for _, m := range missing {
			fmt.Println(m)
		}
	}
	if check == "" {
		return nil
	}
	text, err := os.ReadFile(check)
	if err != nil {
		return err
	}
	old, err := parse(string(text))
	if err != nil {
		return fmt.Errorf("%s: %w", check, err)
	}
	return errors.Join(compare(old, t)...)
}
