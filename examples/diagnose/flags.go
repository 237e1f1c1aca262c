package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"

	"github.com/whiteglove/whiteglove/examples/internal/command"
)

// options are the flags and arguments.
type options struct {
	json, list bool
	timeline   bool
	personal   bool
	html       string
	traffic    string
	args       []string
	stdin      io.Reader
}

// program returns the example as a command. Each call has flags of its own.
func program() *command.Command {
	o := &options{stdin: os.Stdin}
	return &command.Command{
		Name: "diagnose",
		About: "diagnose says in words what a code means that the setup screen of Windows, its logs or the services\n" +
			"of pre-provisioning show, and what helps. Given files, it finds out from them why a setup failed.\n" +
			"CODE is hexadecimal, decimal, a symbol, \"AADSTS50155\", \"807\", \"MD event 171\" or what the setup\n" +
			"screen shows. PATH is a file or a folder of evidence: MDMDiagReport.zip or .cab, event logs,\n" +
			"registry exports, logs, output of certreq, dsregcmd and tpmtool, HTTP archives, logs of proxies,\n" +
			"lists of times and hosts; - is standard input.",
		Usage: "diagnose [-json] CODE…\n" +
			"diagnose [-json] [-timeline] [-html FILE] [-traffic FILE] [-personal] PATH…\n" +
			"diagnose [-json] -list",
		Status: "0 if every code is known and the evidence shows no fault, 1 if a code is not known or a file\n" +
			"cannot be read, 2 for wrong usage, 3 if the evidence shows a fault",
		Args: true, Flags: o.flags, Check: o.check, Do: o.run,
	}
}

func (o *options) flags(f *flag.FlagSet) {
	f.BoolVar(&o.json, "json", false, "print one JSON array")
	f.BoolVar(&o.timeline, "timeline", false, "print what happened, in order of time, and not only the findings")
	f.StringVar(&o.html, "html", "", "write a page with findings and time line to `FILE`")
	f.StringVar(&o.traffic, "traffic", "", "write the capture of traffic that the only PATH is to `FILE`, with the time line of a run: as Markdown if it ends in .md, else as a page")
	f.BoolVar(&o.personal, "personal", false, "keep names, serial numbers, addresses and the like")
	f.BoolVar(&o.list, "list", false, "print every code of the table")
}

// forPaths returns a flag that is given and does nothing without a PATH, or "".
func (o *options) forPaths() string {
	switch {
	case o.timeline:
		return "-timeline"
	case o.html != "":
		return "-html"
	case o.traffic != "":
		return "-traffic"
	case o.personal:
		return "-personal"
	}
	return ""
}

func (o *options) check(f *flag.FlagSet) error {
	o.args = f.Args()
	switch {
	case o.list && len(o.args) > 0:
		return errors.New("-list takes no CODE")
	case o.traffic != "" && (len(o.args) != 1 || o.args[0] == "-"):
		return errors.New("-traffic takes one PATH, which is a file")
	case o.list && o.forPaths() != "":
		return fmt.Errorf("%s goes with a PATH, and not with -list", o.forPaths())
	case o.forPaths() != "" && o.traffic == "" && len(o.args) > 0 && !o.hasPath():
		return fmt.Errorf("%s goes with a PATH, and none of the arguments is a file or folder that is there", o.forPaths())
	case !o.list && len(o.args) == 0:
		return errors.New("name a CODE, a PATH, or -list")
	}
	return errors.Join(command.CheckFile("-html", o.html), command.CheckFile("-traffic", o.traffic))
}
