// Mutate negates conditions and changes comparisons of packages, one at a time, and
// runs the tests that reach the change. A change that no test notices survives.
//
//	go run ./.ci/mutate [-run regexp] [-skip regexp] [-also packages] [-again file] [-every n] [-j n] [-timeout 20s] [-known file] [-list] package...
//
// A package is a folder such as ./attest, or some of its files: ./attest:statement.go,quote.go.
// -skip leaves out tests, such as slow ones; -again tries what survived then with others.
// -also names packages, separated by commas, whose tests are run, too. No file changes:
// the tests are built with an overlay, once for all mutants, and each runs alone once to
// see which mutants it reaches. -known names a file with mutants that no test can notice:
// on each line the file, the line's code without spaces at its ends, the change and the
// reason, separated by " | ".
package main

import (
	"bytes"
	"flag"
	"fmt"
	"go/build"
	"log"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"
)

// A mutant is one change of a file.
type mutant struct {
	file string
	line int
	code string // the line before the change
	what string // the change
}

func (m *mutant) name() string { return m.file + " | " + m.code + " | " + m.what }

var (
	run     = flag.String("run", "", "run only these tests")
	skip    = pattern("skip", "leave out these tests")
	also    = flag.String("also", "", "run the tests of these packages, too, separated by commas")
	every   = flag.Int("every", 1, "take every nth mutant only")
	again   = flag.String("again", "", "take only the mutants that survived a run, whose output this file has")
	jobs    = flag.Int("j", runtime.NumCPU(), "how many mutants run at once")
	timeout = flag.Duration("timeout", 20*time.Second, "added to ten times what the tests take without a change; a mutant that takes longer is killed")
	known   = flag.String("known", ".ci/mutate/known.txt", "the list of mutants that no test can notice")
	list    = flag.Bool("list", false, "print the mutants and run nothing")
)

func main() {
	log.SetFlags(0)
	flag.Parse()
	equivalent := readKnown(*known)
	survived := false
	for _, arg := range flag.Args() {
		dir, only, _ := strings.Cut(arg, ":")
		left, err := mutate(filepath.Clean(dir), only, equivalent)
		if err != nil {
			log.Fatal(err)
		}
		survived = survived || left
	}
	if survived {
		os.Exit(1)
	}
}

// readKnown reads the list of equivalent mutants. The reason is not part of the key.
func readKnown(name string) map[string]bool {
	out := make(map[string]bool)
	text, err := os.ReadFile(name)
	if err != nil {
		return out
	}
	for line := range strings.Lines(string(text)) {
		if parts := strings.Split(strings.TrimSpace(line), " | "); len(parts) == 4 {
			out[strings.Join(parts[:3], " | ")] = true
		}
	}
	return out
}

// mutate runs the mutants of one package and reports whether one survived that is not
// known.
func mutate(dir, only string, equivalent map[string]bool) (left bool, err error) {
	names, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		return false, err
	}
	tmp, err := os.MkdirTemp("", "mutate")
	if err != nil {
		return false, err
	}
	defer os.RemoveAll(tmp)
	var all []*mutant
	replace := make(map[string]string)
	for _, name := range names {
		if built, err := build.Default.MatchFile(dir, filepath.Base(name)); err != nil || !built {
			continue
		}
		if strings.HasSuffix(name, "_test.go") || only != "" && !slices.Contains(strings.Split(only, ","), filepath.Base(name)) {
			continue
		}
		if err := instrument(name, tmp, &all, replace); err != nil {
			return false, err
		}
	}
	if *list {
		for _, m := range all {
			fmt.Printf("%s:%d: %s -> %s\n", m.file, m.line, m.code, m.what)
		}
		return false, nil
	}
	tests, err := measure(tmp, dir, replace)
	if err != nil {
		return false, err
	}
	var before []byte
	if *again != "" {
		if before, err = os.ReadFile(*again); err != nil {
			return false, err
		}
	}
	var mu sync.Mutex
	var killed, survivors, same int
	var wait workers
	for i, m := range all {
		if (i+1)%*every != 0 || *again != "" && !bytes.Contains(before, []byte(": "+m.name()+"\n")) {
			continue
		}
		wait.start(func() {
			reach := slices.DeleteFunc(slices.Clone(tests), func(t *test) bool { return !t.reaches[i+1] })
			passed := passes(reach, i+1)
			mu.Lock()
			defer mu.Unlock()
			switch {
			case !passed:
				killed++
			case equivalent[m.name()]:
				same++
			default:
				survivors++
				fmt.Printf("survived %d tests: %s:%d: %s\n", len(reach), m.file, m.line, m.name())
			}
		})
	}
	wait.Wait()
	fmt.Printf("%s: %d killed, %d survived, %d equivalent\n", dir, killed, survivors, same)
	return survivors > 0, nil
}

// pattern is a flag that is a regular expression; the zero value matches nothing.
func pattern(name, usage string) *regexp.Regexp {
	re := regexp.MustCompile("^$")
	flag.Func(name, usage, func(s string) error {
		compiled, err := regexp.Compile(s)
		if err == nil {
			*re = *compiled
		}
		return err
	})
	return re
}

// workers run functions, as many at once as -j allows.
type workers struct {
	sync.WaitGroup
	slots chan bool
}

func (w *workers) start(f func()) {
	if w.slots == nil {
		w.slots = make(chan bool, *jobs)
	}
	w.slots <- true
	w.Go(func() {
		f()
		<-w.slots
	})
}
