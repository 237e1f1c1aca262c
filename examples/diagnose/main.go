// Diagnose says in words what a code means that the setup screen of Windows, its
// logs or the services of pre-provisioning show, and what helps.
//
//	go run ./examples/diagnose 0x80180014
//	go run ./examples/diagnose "Securing your hardware (Failed: 0x800705B4)"
//	go run ./examples/diagnose -2145910764
//	go run ./examples/diagnose -json AADSTS50155 807 "MD event 171"
//	go run ./examples/diagnose -list
//
// It exits with 0 if every code is known, with 1 if not, and with 2 if it was
// called wrongly.
package main

import (
	"context"
	"io"
	"slices"

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

// run prints what the codes mean, or the whole table.
func (o *options) run(_ context.Context, stdout, _ io.Writer) error {
	if o.list {
		if o.json {
			return writeJSON(stdout, diagnose.Codes())
		}
		return writeList(stdout, diagnose.Codes())
	}
	var found []reading
	known := true
	for _, code := range o.codes {
		r := reading{Input: code, Meanings: diagnose.Decode(code)}
		r.Known = slices.ContainsFunc(r.Meanings, diagnose.Meaning.Known)
		known = known && r.Known
		found = append(found, r)
	}
	var err error
	if o.json {
		err = writeJSON(stdout, found)
	} else {
		err = writeText(stdout, found)
	}
	if err != nil {
		return err
	}
	if !known {
		return &command.ExitError{Code: 1}
	}
	return nil
}
