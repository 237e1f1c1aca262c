// Diagnose says in words what a code means that the setup screen of Windows, its
// logs or the services of pre-provisioning show, and what helps. Given files, it
// finds out from them why a setup failed.
//
//	go run ./examples/diagnose 0x80180014
//	go run ./examples/diagnose "Securing your hardware (Failed: 0x800705B4)"
//	go run ./examples/diagnose -2145910764
//	go run ./examples/diagnose -json AADSTS50155 807 "MD event 171"
//	go run ./examples/diagnose -list
//	go run ./examples/diagnose MDMDiagReport.zip
//	go run ./examples/diagnose -timeline -html report.html C:\Windows\System32\winevt\Logs
//	go run ./examples/diagnose -traffic device.html access.log
//	certreq -q -enrollaik -config "" | diagnose -
//
// It exits with 0 if every code is known and the evidence shows no fault, with 1 if a
// code is not known or a file cannot be read, with 2 if it was called wrongly, and
// with 3 if the evidence shows a fault. Personal data in the evidence is replaced
// unless -personal is set.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"

	"github.com/whiteglove/whiteglove/diagnose"
	"github.com/whiteglove/whiteglove/examples/internal/command"
)

func main() { command.Main(program()) }

// A reading is what one argument means.
type reading struct {
	Input    string             `json:"input"`
	Known    bool               `json:"known"`
	Meanings []diagnose.Meaning `json:"meanings"` // likeliest first
}

// run prints what the codes mean, what the evidence shows, or the whole table.
func (o *options) run(ctx context.Context, stdout, _ io.Writer) error {
	if o.list {
		if o.json {
			return writeJSON(stdout, diagnose.Codes())
		}
		return writeList(stdout, diagnose.Codes())
	}
	paths, codes := o.split()
	if len(paths) > 0 || o.traffic != "" {
		return o.evidence(ctx, stdout, paths, codes)
	}
	found, unknown := decode(codes)
	var err error
	if o.json {
		err = writeJSON(stdout, found)
	} else {
		err = writeText(stdout, known(found))
	}
	if err != nil {
		return err
	}
	return unknown
}

// decode returns what codes mean. The error names those that are not known.
func decode(codes []string) (found []reading, unknown error) {
	for _, code := range codes {
		r := reading{Input: code, Meanings: diagnose.Decode(code)}
		r.Known = slices.ContainsFunc(r.Meanings, diagnose.Meaning.Known)
		switch {
		case r.Known:
		case len(r.Meanings) == 0:
			unknown = errors.Join(unknown, notKnown(code))
		default:
			unknown = errors.Join(unknown, fmt.Errorf("what %q means is not public", code))
		}
		found = append(found, r)
	}
	return found, unknown
}

// known returns the readings that say something.
func known(found []reading) []reading {
	return slices.DeleteFunc(slices.Clone(found), func(r reading) bool { return len(r.Meanings) == 0 })
}

// notKnown says what may be wrong with an argument that is no code of the table, and no
// file that is there.
func notKnown(arg string) error {
	digits, hexadecimal := strings.CutPrefix(strings.ToLower(arg), "0x")
	hexadecimal = hexadecimal && strings.Trim(digits, "0123456789abcdef") == ""
	switch {
	case hexadecimal && len(digits) != 8:
		return fmt.Errorf("the code %s has %s; codes have 8. Compare it with the screen", arg, command.Count(len(digits), "digit"))
	case hexadecimal:
		return fmt.Errorf("the code %s is not known. Compare the digits with the screen; -list prints what is known", arg)
	case strings.ContainsAny(arg, `/\`) || filepath.Ext(arg) != "" && !strings.Contains(arg, " "):
		return fmt.Errorf("there is no file %q. Check its name and its folder; -h says what is evidence", arg)
	}
	return fmt.Errorf("%q is neither a code that is known nor a file that is there. Type it as the screen shows it, such as 0x80180014; -list prints what is known", arg)
}
