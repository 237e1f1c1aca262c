package command

import (
	"cmp"
	"errors"
	"flag"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"time"
)

// parse parses args and checks the flags. The timeout is 0 if there is no limit.
// Errors have been printed. They are [flag.ErrHelp] if help was asked for.
func (c *Command) parse(args []string, stderr io.Writer) (timeout time.Duration, err error) {
	f := flag.NewFlagSet(c.Name, flag.ContinueOnError)
	f.SetOutput(io.Discard)
	f.Usage = func() {}
	c.Flags(f)
	if c.Timeout != 0 {
		f.DurationVar(&timeout, "timeout", c.Timeout, "give up after `D`")
	}
	if c.Args {
		args = guardNumber(args)
	}
	err = plainly(f, f.Parse(args))
	if err == nil {
		err = c.check(f, timeout)
	}
	if errors.Is(err, flag.ErrHelp) {
		f.SetOutput(stderr)
		c.usage(f)
		return 0, err
	}
	if err != nil {
		text, _, _ := strings.Cut(err.Error(), "\n") // the first of joined errors
		fmt.Fprintf(stderr, "%s: %s; see %s -h\n", c.Name, text, c.Name)
		return 0, err
	}
	if roots := f.Lookup("roots"); roots != nil {
		c.roots = roots.Value.String()
	}
	return timeout, nil
}

// badValue is what package flag says of a value that it, or a function, cannot read.
var badValue = regexp.MustCompile(`(?s)^invalid (?:boolean )?value "(.*)" for (?:flag )?-([^ ]+): (.*)$`)

// plainly returns an error of package flag in words that say what the flag takes.
func plainly(f *flag.FlagSet, err error) error {
	if err == nil {
		return nil
	}
	if name, ok := strings.CutPrefix(err.Error(), "flag provided but not defined: "); ok {
		return fmt.Errorf("there is no flag %s", name)
	}
	if name, ok := strings.CutPrefix(err.Error(), "flag needs an argument: "); ok {
		return fmt.Errorf("%s needs a value", name)
	}
	m := badValue.FindStringSubmatch(err.Error())
	if m == nil || f.Lookup(m[2]) == nil {
		return err
	}
	want := m[3]
	if v, ok := f.Lookup(m[2]).Value.(flag.Getter); ok {
		switch v.Get().(type) {
		case time.Duration:
			want = "want a time with its unit, such as 90s or 5m"
		case int:
			want = "want a whole number"
		case uint:
			want = "want a whole number, such as 10 or 0x81000001"
		case bool:
			want = "want true or false, or no value"
		}
	}
	return fmt.Errorf("-%s %q: %s", m[2], m[1], want)
}

// check returns an error if the arguments or flags are wrong.
func (c *Command) check(f *flag.FlagSet, timeout time.Duration) error {
	switch {
	case slices.ContainsFunc(f.Args(), isHelp):
		return flag.ErrHelp
	case f.NArg() > 0 && !c.Args:
		return fmt.Errorf("unexpected argument %q", f.Arg(0))
	case c.Timeout != 0 && timeout <= 0:
		return errors.New("-timeout must be positive")
	case empty(f) != "":
		return fmt.Errorf("-%s has an empty value: give one, or leave the flag out", empty(f))
	case c.Check != nil:
		return c.Check(f)
	}
	return nil
}

// isHelp reports whether an argument behind others asks for help. A file of that name can be
// called ./-h.
func isHelp(arg string) bool { return slices.Contains([]string{"-h", "-help", "--help"}, arg) }

// empty returns the name of a flag that was given with an empty text, or "".
func empty(f *flag.FlagSet) (name string) {
	f.Visit(func(set *flag.Flag) {
		if v, ok := set.Value.(flag.Getter); ok && v.Get() == "" {
			name = set.Name
		}
	})
	return name
}

// usage prints what the program does, the forms of the command line, the exit codes and
// the flags.
func (c *Command) usage(f *flag.FlagSet) {
	forms := cmp.Or(c.Usage, c.Name+" [FLAGS]")
	fmt.Fprintf(f.Output(), "%s\n\nUsage:\n  %s\n\nExit status: %s.\n", c.About, strings.ReplaceAll(forms, "\n", "\n  "), c.Status)
	flags := 0
	f.VisitAll(func(*flag.Flag) { flags++ })
	if flags > 0 {
		fmt.Fprintln(f.Output(), "\nFlags:")
		f.PrintDefaults()
	}
}

// guardNumber inserts "--" before the first argument that is not a flag if it
// is a negative number.
func guardNumber(args []string) []string {
	for i, arg := range args {
		if arg == "--" || !strings.HasPrefix(arg, "-") {
			break
		}
		if len(arg) > 1 && arg[1] >= '0' && arg[1] <= '9' {
			return slices.Insert(slices.Clone(args), i, "--")
		}
	}
	return args
}
