package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// A test is one test of a package.
type test struct {
	dir     string // the package's
	binary  string
	name    string
	takes   time.Duration // without a change
	reaches map[int]bool  // the mutants whose code it runs
}

// measure builds the tests of a package, and those of the packages in -also, with files
// in the place of others. It runs each test alone and returns them, the quickest first.
func measure(tmp, dir string, replace map[string]string) ([]*test, error) {
	overlay := filepath.Join(tmp, "overlay.json")
	text, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		return nil, err
	}
	if err := os.WriteFile(overlay, text, 0o600); err != nil {
		return nil, err
	}
	var tests []*test
	for i, pkg := range append([]string{dir}, strings.FieldsFunc(*also, func(r rune) bool { return r == ',' })...) {
		binary := filepath.Join(tmp, fmt.Sprint("test", i))
		if out, err := exec.Command("go", "test", "-c", "-overlay", overlay, "-vet=off", "-o", binary, "./"+filepath.Clean(pkg)).CombinedOutput(); err != nil {
			return nil, fmt.Errorf("%w: %s", err, out)
		}
		names, err := testNames(binary, pkg)
		if err != nil {
			return nil, err
		}
		for _, name := range names {
			tests = append(tests, &test{dir: pkg, binary: binary, name: name})
		}
	}
	var wait workers
	errs := make([]error, len(tests))
	for i, t := range tests {
		wait.start(func() { errs[i] = t.measure(filepath.Join(tmp, fmt.Sprint("reached", i))) })
	}
	wait.Wait()
	for _, err := range errs {
		if err != nil {
			return nil, err
		}
	}
	slices.SortFunc(tests, func(a, b *test) int { return cmp.Compare(a.takes, b.takes) })
	return tests, nil
}

// testNames returns the names of the tests that -run and -skip choose, without benchmarks.
func testNames(binary, dir string) ([]string, error) {
	cmd := exec.Command(binary, "-test.list", cmp.Or(*run, "."))
	cmd.Dir = dir
	out, err := cmd.Output()
	if err != nil {
		return nil, err
	}
	names := strings.Fields(string(out))
	return slices.DeleteFunc(names, func(name string) bool {
		return strings.HasPrefix(name, "Benchmark") || skip.MatchString(name)
	}), nil
}

// measure runs a test without a change, and notes how long it takes and which mutants it
// reaches.
func (t *test) measure(reached string) error {
	if err := os.WriteFile(reached, nil, 0o600); err != nil {
		return err
	}
	start := time.Now()
	if out, err := runTests([]*test{t}, 10*time.Minute, "MUTANTS_REACHED="+reached); err != nil {
		return fmt.Errorf("%s: %s fails without a change: %w\n%s", t.dir, t.name, err, out)
	}
	t.takes = time.Since(start)
	file, err := os.Open(reached)
	if err != nil {
		return err
	}
	defer file.Close()
	t.reaches = make(map[int]bool)
	for {
		var n int
		if _, err := fmt.Fscanln(file, &n); err != nil {
			return nil
		}
		t.reaches[n] = true
	}
}

// passes reports whether tests pass with the mutant number n. It runs the quickest
// first, and more at once the longer it takes.
func passes(tests []*test, n int) bool {
	for size := 4; len(tests) > 0; size *= 2 {
		batch := tests[:min(size, len(tests))]
		tests = tests[len(batch):]
		for len(batch) > 0 {
			rest := slices.DeleteFunc(slices.Clone(batch), func(t *test) bool { return t.binary == batch[0].binary })
			same := slices.DeleteFunc(slices.Clone(batch), func(t *test) bool { return t.binary != batch[0].binary })
			limit := *timeout
			for _, t := range same {
				limit += 10 * t.takes
			}
			if _, err := runTests(same, limit, fmt.Sprint("MUTANT=", n)); err != nil {
				return false
			}
			batch = rest
		}
	}
	return true
}

// runTests runs tests of one package with a variable of the environment.
func runTests(tests []*test, limit time.Duration, env string) ([]byte, error) {
	var names []string
	for _, t := range tests {
		names = append(names, t.name)
	}
	ctx, cancel := context.WithTimeout(context.Background(), limit+10*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, tests[0].binary, "-test.failfast", "-test.short", "-test.timeout", limit.String(), "-test.run", "^("+strings.Join(names, "|")+")$")
	cmd.Dir = tests[0].dir
	cmd.Env = append(os.Environ(), env)
	cmd.WaitDelay = time.Second
	return cmd.CombinedOutput()
}
