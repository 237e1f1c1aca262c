package main

import (
	"errors"
	"flag"

	"github.com/whiteglove/whiteglove/examples/internal/command"
)

// options are the flags and arguments.
type options struct {
	json, list bool
	codes      []string
}

// program returns the example as a command. Each call has flags of its own.
func program() *command.Command {
	o := new(options)
	return &command.Command{
		Name: "diagnose", Status: "0 if every code is known, 1 if not, 2 for wrong usage",
		Usage: "usage: diagnose [-json] CODE…, or diagnose [-json] -list\n" +
			`CODE is hexadecimal, decimal, a symbol, "AADSTS50155", "807", "MD event 171" or what the setup screen shows.`,
		Args: true, Flags: o.flags, Check: o.check, Do: o.run,
	}
}

func (o *options) flags(f *flag.FlagSet) {
	f.BoolVar(&o.json, "json", false, "print one JSON array")
	f.BoolVar(&o.list, "list", false, "print every code of the table")
}

func (o *options) check(f *flag.FlagSet) error {
	o.codes = f.Args()
	switch {
	case o.list && len(o.codes) > 0:
		return errors.New("-list takes no CODE")
	case !o.list && len(o.codes) == 0:
		return errors.New("name a CODE, or -list")
	}
	return nil
}
