package command

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// failed is an error of a client's operation.
type failed struct{}

func (failed) Error() string     { return "drs: join: busy" }
func (failed) Operation() string { return "Join" }
func (failed) Service() string   { return "https://a.test/" }
func (failed) Status() int       { return 503 }
func (failed) Retryable() bool   { return true }
func (failed) HRESULT() uint32   { return 0x801901F7 }
func (failed) Unwrap() error     { return errors.New("busy") }
func (failed) Remedy() string    { return "Wait." }
func (failed) StepName() string  { return "leave" }

// numbered is an error of a request that has an identifier.
type numbered struct{ failed }

func (numbered) Reference() string { return "4711" }

// coded is an error with a code and a remedy.
type coded struct{ text string }

func (e coded) Error() string { return e.text }

// HRESULT returns a fixed code.
func (coded) HRESULT() uint32 { return 0x80180014 }

// Remedy returns a fixed remedy.
func (coded) Remedy() string { return "Ask the maker." }

func TestRun(t *testing.T) {
	for _, tt := range []struct {
		name   string
		args   []string
		err    error // of Do
		code   int
		stderr string // its start
	}{
		{name: "done", args: []string{"-x", "1"}},
		{name: "failed", err: errors.New("two\nlines"), code: 1, stderr: "name: two lines\n"},
		{name: "explained", err: fmt.Errorf("a: %w", coded{"b"}), code: 1, stderr: "name: a: b (0x80180014 MENROLL_E_DEVICENOTSUPPORTED). Ask the maker.\n"},
		{name: "hinted", err: fs.ErrExist, code: 1, stderr: "name: file already exists. Use another.\n"},
		{name: "own code", err: &ExitError{Code: 3, Err: errors.New("why")}, code: 3, stderr: "name: why\n"},
		{name: "own code, no message", err: fmt.Errorf("x: %w", &ExitError{Code: 4}), code: 4},
		{name: "help", args: []string{"-h"}, stderr: "name does x.\n"},
		{name: "unknown flag", args: []string{"-y"}, code: 2, stderr: "name: there is no flag -y; see name -h\n"},
		{name: "bad value", args: []string{"-x", "a"}, code: 2, stderr: "name: -x \"a\": want a whole number; see name -h\n"},
		{name: "huge value", args: []string{"-x", "99999999999999999999"}, code: 2, stderr: "name: -x \"99999999999999999999\": want a whole number; see name -h\n"},
		{name: "no unit", args: []string{"-timeout", "5"}, code: 2, stderr: "name: -timeout \"5\": want a time with its unit, such as 90s or 5m; see name -h\n"},
		{name: "no boolean", args: []string{"-b=maybe"}, code: 2, stderr: "name: -b \"maybe\": want true or false, or no value; see name -h\n"},
		{name: "own words", args: []string{"-f", "a"}, code: 2, stderr: "name: -f \"a\": want b; see name -h\n"},
		{name: "no value", args: []string{"-x"}, code: 2, stderr: "name: -x needs a value; see name -h\n"},
		{name: "argument", args: []string{"a"}, code: 2, stderr: "name: unexpected argument \"a\"; see name -h\n"},
		{name: "no time", args: []string{"-timeout", "0s"}, code: 2, stderr: "name: -timeout must be positive; see name -h\n"},
		{name: "empty value", args: []string{"-s", ""}, code: 2, stderr: "name: -s has an empty value: give one, or leave the flag out; see name -h\n"},
		{name: "checked", args: []string{"-x", "7"}, code: 2, stderr: "name: not 7; see name -h\n"},
	} {
		x, did := 0, false
		c := &Command{
			Name: "name", About: "name does x.", Status: "0 or not", Timeout: time.Minute,
			Flags: func(f *flag.FlagSet) {
				f.IntVar(&x, "x", 0, "number")
				f.Bool("b", false, "boolean")
				f.String("s", "default", "text")
				f.Func("f", "function", func(string) error { return errors.New("want b") })
			},
			Check: func(*flag.FlagSet) error {
				if x == 7 {
					return errors.New("not 7")
				}
				return nil
			},
			Hint: func(err error) string {
				if errors.Is(err, fs.ErrExist) {
					return "Use another."
				}
				return ""
			},
			Do: func(ctx context.Context, _, _ io.Writer) error {
				_, limited := ctx.Deadline()
				did = limited
				return tt.err
			},
		}
		var out, errs bytes.Buffer
		code := c.Run(t.Context(), tt.args, &out, &errs)
		if code != tt.code || !strings.HasPrefix(errs.String(), tt.stderr) || (tt.stderr == "") != (errs.Len() == 0) || out.Len() > 0 {
			t.Errorf("%s: exit code %d: %q", tt.name, code, &errs)
		}
		if usage := strings.HasPrefix(errs.String(), "name does x.\n\nUsage:\n  name [FLAGS]\n\nExit status: 0 or not.\n\nFlags:\n  -"); usage != (tt.name == "help") || did != (code != 2 && !usage) || code == 2 && strings.Count(errs.String(), "\n") != 1 {
			t.Errorf("%s: did its work: %v; usage: %v: %q", tt.name, did, usage, &errs)
		}
	}
}

func TestArguments(t *testing.T) {
	for _, args := range [][]string{{"-1"}, {"-b", "-1"}, {"--", "-1"}, {"-b", "--", "-1"}} {
		var got []string
		c := &Command{
			Args:  true,
			Flags: func(f *flag.FlagSet) { f.Bool("b", false, "") },
			Check: func(f *flag.FlagSet) error { got = f.Args(); return nil },
			Do:    func(context.Context, io.Writer, io.Writer) error { return nil },
		}
		if code := c.Run(t.Context(), args, io.Discard, io.Discard); code != 0 || len(got) != 1 || got[0] != "-1" {
			t.Errorf("%q: exit code %d, arguments %q", args, code, got)
		}
	}
}

// A run that -timeout ends says so, with the time and the flag.
func TestOverdue(t *testing.T) {
	c := &Command{
		Name: "name", Timeout: time.Minute, Flags: func(*flag.FlagSet) {},
		Do: func(ctx context.Context, _, _ io.Writer) error {
			<-ctx.Done()
			return At("step", fmt.Errorf("nobody came: %w", ctx.Err()))
		},
	}
	var errs bytes.Buffer
	code := c.Run(t.Context(), []string{"-timeout", "20ms"}, io.Discard, &errs)
	const want = "name: step: nobody came: the time limit of 20ms ended (0x800705B4 ERROR_TIMEOUT). Allow more time (-timeout), or find out why it takes so long.\n"
	if code != 1 || errs.String() != want {
		t.Errorf("%d: %s", code, &errs)
	}
}

func TestExplain(t *testing.T) {
	for _, tt := range []struct {
		err   error
		notes []string
		want  string
	}{
		{errors.New(" a \n b"), nil, "a b"},
		{errors.New("a\x1b\xde\u202e"), nil, "a \uFFFD\uFFFD"},
		{errors.New("a"), []string{"Try again."}, "a. Try again."},
		{coded{"a"}, []string{"", "Try again."}, "a (0x80180014 MENROLL_E_DEVICENOTSUPPORTED). Ask the maker. Try again."},
		{fmt.Errorf("x: %w", failed{}), nil, "leave: Join https://a.test/: HTTP status 503: busy (0x801901F7 HTTP_E_STATUS_SERVICE_UNAVAIL); may pass. Wait."},
		{At("-url", failed{}), nil, "-url: leave: Join https://a.test/: HTTP status 503: busy (0x801901F7 HTTP_E_STATUS_SERVICE_UNAVAIL); may pass. Wait."},
		{&ExitError{Code: 3, Err: At("-out", errors.New("no"))}, nil, "-out: no"},
		{numbered{failed{}}, nil, "leave: Join https://a.test/: HTTP status 503: busy (0x801901F7 HTTP_E_STATUS_SERVICE_UNAVAIL); may pass. Wait. The operator finds the request by its ID, 4711."},
		{errors.Join(coded{"a"}, At("-har", errors.New("no"))), nil, "a (0x80180014 MENROLL_E_DEVICENOTSUPPORTED). Ask the maker. Also: -har: no"},
		{errors.New("a. Take more (in the programs: -timeout)."), nil, "a. Take more (-timeout)."},
		{errors.Join(nil, At("-har", errors.New("no"))), nil, "-har: no"},
	} {
		if got := Explain(tt.err, tt.notes...); got != tt.want {
			t.Errorf("%q, want %q", got, tt.want)
		}
	}
}

// A brief explanation has the code, and neither step nor remedy.
func TestBrief(t *testing.T) {
	const want = "Join https://a.test/: HTTP status 503: busy (0x801901F7 HTTP_E_STATUS_SERVICE_UNAVAIL)"
	if got := Brief(failed{}); got != want {
		t.Errorf("%q, want %q", got, want)
	}
	if At("x", nil) != nil {
		t.Error("no error became one")
	}
}

// TestWriteFile replaces a file and writes through a link.
func TestWriteFile(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new")
	for _, text := range []string{"one", "two"} {
		if err := WriteDir(dir, File{"a", []byte(text)}, File{"b", nil}); err != nil {
			t.Fatal(err)
		}
		if got, err := os.ReadFile(filepath.Join(dir, "a")); err != nil || string(got) != text {
			t.Errorf("%q, %v", got, err)
		}
	}
	link := filepath.Join(dir, "link")
	if err := os.Symlink("a", link); err != nil {
		t.Skip(err)
	}
	if err := WriteFile(link, []byte("three")); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Lstat(link); err != nil || info.Mode().IsRegular() {
		t.Errorf("the link was replaced: %v, %v", info, err)
	}
	if got, err := os.ReadFile(filepath.Join(dir, "a")); err != nil || string(got) != "three" {
		t.Errorf("%q, %v", got, err)
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 3 {
		t.Errorf("%v, %v", entries, err)
	}
	if err := WriteFile(filepath.Join(dir, "none", "a"), nil); err == nil {
		t.Error("a file was written to a folder that does not exist")
	}
}

func TestSecret(t *testing.T) {
	name := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(name, []byte(" pass word\r\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for flag, want := range map[string]string{"": "", "plain": "plain", "@" + name: " pass word"} {
		if got, err := Secret("-x", flag); err != nil || got != want {
			t.Errorf("%q: %q, %v", flag, got, err)
		}
	}
	if _, err := Secret("-x", "@"+name+"x"); err == nil || !strings.HasPrefix(err.Error(), "-x: ") {
		t.Error("there is no such file")
	}
	for _, text := range []string{"\r\n", "", " \t \n\n"} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := Secret("-x", "@"+name); err == nil || err.Error() != fmt.Sprintf("-x: the file %q is empty, but should have a secret", name) {
			t.Errorf("%q: %v", text, err)
		}
	}
}

// A secret may come from a descriptor, such as that of a pipe.
func TestSecretOfDescriptor(t *testing.T) {
	if _, err := os.Stat("/dev/fd"); err != nil {
		t.Skip("this system has no names for descriptors")
	}
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if _, err := w.WriteString("pass word\n"); err != nil {
		t.Fatal(err)
	}
	w.Close()
	if got, err := Secret("-x", fmt.Sprintf("@/dev/fd/%d", r.Fd())); err != nil || got != "pass word" {
		t.Errorf("%q, %v", got, err)
	}
}
