// Diagnose says what the codes mean that Windows' setup screen, its logs and
// the services of pre-provisioning show, and what helps.
//
//	diagnose 0x80180014
//	diagnose "Securing your hardware (Failed: 0x800705B4)"
//	diagnose -2145910764
//	diagnose -json AADSTS50155 807 "MD event 171"
//	diagnose -list
package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/whiteglove/whiteglove/diagnose"
)

// Exit codes.
const (
	exitKnown   = 0 // every argument has a code that is known
	exitUnknown = 1
	exitUsage   = 2
)

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

// run decodes the arguments.
func run(args []string, stdout, stderr io.Writer) int {
	fs := flag.NewFlagSet("diagnose", flag.ContinueOnError)
	fs.SetOutput(stderr)
	asJSON := fs.Bool("json", false, "print JSON, an array")
	list := fs.Bool("list", false, "print every code of the table")
	fs.Usage = func() {
		fmt.Fprintln(stderr, "usage: diagnose [-json] CODE…, or diagnose [-json] -list")
		fmt.Fprintln(stderr, `CODE is hexadecimal, decimal, a symbol, "AADSTS50155", "807", "MD event 171" or what the setup screen shows.`)
		fmt.Fprintln(stderr, "Exit status: 0 known, 1 unknown, 2 usage.")
		fs.PrintDefaults()
	}
	if err := fs.Parse(guard(args)); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return exitKnown
		}
		return exitUsage
	}
	if *list == (fs.NArg() > 0) {
		fs.Usage()
		return exitUsage
	}
	code, err := exitKnown, error(nil)
	switch {
	case *list && *asJSON:
		err = writeJSON(stdout, diagnose.Codes())
	case *list:
		err = writeList(stdout, diagnose.Codes())
	default:
		var found []reading
		found, code = decode(fs.Args())
		if *asJSON {
			err = writeJSON(stdout, found)
		} else {
			err = writeText(stdout, found)
		}
	}
	if err != nil {
		fmt.Fprintf(stderr, "diagnose: %v\n", err)
		return exitUnknown
	}
	return code
}

// guard puts "--" before a negative number that is the first argument after
// the flags, for it is no flag.
func guard(args []string) []string {
	for i, arg := range args {
		if arg == "--" || !strings.HasPrefix(arg, "-") {
			break
		}
		if len(arg) > 1 && arg[0] == '-' && arg[1] >= '0' && arg[1] <= '9' {
			return slices.Insert(slices.Clone(args), i, "--")
		}
	}
	return args
}

// A reading is what one argument means.
type reading struct {
	Input    string             `json:"input"`
	Known    bool               `json:"known"`
	Meanings []diagnose.Meaning `json:"meanings"` // likeliest first
}

// decode reads the arguments. The code is exitUnknown if one is not known.
func decode(args []string) (found []reading, code int) {
	for _, arg := range args {
		r := reading{Input: arg, Meanings: diagnose.Decode(arg)}
		r.Known = slices.ContainsFunc(r.Meanings, diagnose.Meaning.Known)
		if !r.Known {
			code = exitUnknown
		}
		found = append(found, r)
	}
	return found, code
}

func writeJSON(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "\t")
	e.SetEscapeHTML(false)
	return e.Encode(v)
}

// writeList writes a line for each code, its columns separated by tabs.
func writeList(w io.Writer, codes []diagnose.Meaning) error {
	b := bufio.NewWriter(w)
	for _, m := range codes {
		fmt.Fprintln(b, strings.Join([]string{m.Name, or(m.Symbol, "-"), steps(m), m.Text, m.Causes, m.Remedy, m.Source}, "\t"))
	}
	return b.Flush()
}

// writeText writes what a person reads.
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

func writeMeaning(w io.Writer, m diagnose.Meaning) {
	fmt.Fprintln(w, strings.TrimSpace(m.Name+" "+m.Symbol))
	for _, line := range []struct{ name, value string }{
		{"meaning", m.Text},
		{"while", m.Phase},
		{"step", steps(m)},
		{"causes", m.Causes},
		{"remedy", m.Remedy},
		{"of", m.Family},
		{"source", source(m.Source)},
	} {
		if line.value != "" {
			fmt.Fprintf(w, "  %-8s %s\n", line.name, line.value)
		}
	}
}

// source marks what was not checked.
func source(s string) string {
	if s == "memory" {
		return "memory (not checked)"
	}
	return s
}

func steps(m diagnose.Meaning) string {
	var list []string
	for _, s := range m.Steps {
		list = append(list, string(s))
	}
	return or(strings.Join(list, " "), "any")
}

func or(s, instead string) string {
	if s == "" {
		return instead
	}
	return s
}
