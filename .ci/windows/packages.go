package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"
)

// packages are those whose tests run, with the tests that do. They are what Windows does
// in its own way: files, processes, the registry, its TPM service, sockets.
var packages = []struct {
	path string
	run  string // regular expression of tests; empty for all
	skip string // of tests for which Wine is not the place
	why  string // why these, or what else is left out; printed
}{
	{"attest", "TBS|TestOpen(Nothing|Path)|Find|EventLog|SystemAuth|Reopened|Error|Remed", "", ""},
	{"ekcert", "System|Registry|Find|Version1|Every|Service", "", ""},
	{"provision", "FileStore|Edited", "TooLarge", "TooLarge takes long everywhere"},
	{"attest/attesttest", "State", "", ""},
	{"diagnose", "TBS", "", ""},
	{"autopilot", "WMI|Hash|File", "", ""},
	{"internal/rename", "", "", ""},
	{"internal/wire", "", "", ""},
	{"examples/internal/command", "", "WriteFile|SecretOfDescriptor", "Wine makes symbolic links that are none, and /dev/fd is Linux's"},
	{"examples/internal/device", "OpenErrors|WrongKey|TCTI", "", "without Unix sockets, which Wine 8 does not have"},
}

// forgiven are failures that are Wine's: what a test itself says is looked at.
var forgiven = []struct {
	what string
	line *regexp.Regexp
}{
	{"folders that Wine does not remove", regexp.MustCompile(`TempDir RemoveAll cleanup: .*: Invalid function\.$`)},
	{"UDP sockets", regexp.MustCompile(`wsaioctl: winapi error #10045`)},
}

// An event is one of go tool test2json.
type event struct{ Action, Test, Output string }

// packageTests runs tests of packages in Wine.
func packageTests(ctx context.Context, m *machine) error {
	binaries := make(chan error, len(packages))
	name := func(path string) string { return filepath.Join(m.dir, strings.ReplaceAll(path, "/", "-")+".test.exe") }
	go func() {
		for _, p := range packages {
			cmd := exec.CommandContext(ctx, "go", "test", "-c", "-vet=off", "-ldflags=-s -w", "-o", name(p.path), "./"+p.path)
			cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOARCH=amd64", "GOOS=windows")
			out, err := cmd.CombinedOutput()
			if err != nil {
				err = fmt.Errorf("%s: %w\n%s", cmd, err, out)
			}
			binaries <- err
		}
	}()
	var errs []error
	for _, p := range packages {
		if err := <-binaries; err != nil {
			return err
		}
		start := time.Now()
		cmd := m.program(ctx, "", name(p.path), "-test.v=test2json", "-test.run="+p.run, "-test.skip="+p.skip, "-test.timeout=2m")
		cmd.Dir = p.path
		cmd.Env = append(cmd.Env, "WHITEGLOVE_REQUIRE_SWTPM=", "WHITEGLOVE_REQUIRE_TOOLS=")
		text, err := cmd.CombinedOutput()
		passed, notes, failures := judge(text)
		fmt.Printf("           %s: %d tests passed, %.1f s\n", p.path, passed, time.Since(start).Seconds())
		for _, note := range notes {
			fmt.Println("             ", note)
		}
		if p.skip != "" || p.why != "" {
			fmt.Println("              left out:", strings.TrimPrefix(p.skip+": "+p.why, ": "))
		}
		switch {
		case failures != "":
			errs = append(errs, fmt.Errorf("%s:\n%s", p.path, failures))
		case passed == 0 || cmd.ProcessState.ExitCode() > 1:
			errs = append(errs, fmt.Errorf("%s: %v: no result\n%s", p.path, err, text))
		}
	}
	return errors.Join(errs...)
}

// judge returns how many tests passed, what was forgiven or skipped, and what the tests
// that failed said.
func judge(text []byte) (passed int, notes []string, failures string) {
	said := make(map[string][]string)
	counts := make(map[string]int)
	convert := exec.Command("go", "tool", "test2json")
	convert.Stdin = bytes.NewReader(text)
	out, err := convert.Output()
	if err != nil {
		return 0, nil, err.Error()
	}
	var failed []string
	lines := bufio.NewScanner(bytes.NewReader(out))
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var ev event
		if err := json.Unmarshal(lines.Bytes(), &ev); err != nil || ev.Test == "" {
			continue
		}
		switch ev.Action {
		case "output":
			said[ev.Test] = append(said[ev.Test], strings.TrimRight(ev.Output, "\r\n"))
		case "pass":
			passed++
		case "skip":
			notes = append(notes, "skipped: "+strings.Join(spoken(said[ev.Test]), "; "))
		case "fail":
			failed = append(failed, ev.Test)
		}
	}
	for _, test := range failed {
		what := excuse(test, said, failed)
		if what == "" {
			failures += strings.Join(said[test], "\n") + "\n"
			continue
		}
		counts[what]++
		passed++
	}
	for _, f := range forgiven {
		if counts[f.what] > 0 {
			notes = append(notes, fmt.Sprintf("forgiven: %s, in %d tests", f.what, counts[f.what]))
		}
	}
	return passed, notes, failures
}

// excuse returns what a failed test is forgiven, or "". It is forgiven if all that it
// said is what Wine lacks, and if that holds for the tests below it that failed.
func excuse(test string, said map[string][]string, failed []string) (what string) {
	lines := spoken(said[test])
	for _, line := range lines {
		own := ""
		for _, f := range forgiven {
			if f.line.MatchString(line) {
				own = f.what
			}
		}
		if own == "" {
			return ""
		}
		what = own
	}
	if len(lines) > 0 {
		return what
	}
	for _, below := range failed {
		if strings.HasPrefix(below, test+"/") {
			if what = excuse(below, said, failed); what == "" {
				return ""
			}
		}
	}
	return what
}

// spoken returns the lines of a test that are not those of go test.
func spoken(lines []string) []string {
	return slices.DeleteFunc(slices.Clone(lines), func(line string) bool {
		line = strings.TrimSpace(strings.TrimPrefix(line, "\x16"))
		return line == "" || strings.HasPrefix(line, "=== ") || strings.HasPrefix(line, "--- ")
	})
}
