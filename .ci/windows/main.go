// Windows tries the Windows builds of the examples and of tests in Wine. The TPM is an
// swtpm behind a tbs.dll of our own (dll/tbs.c), which also gives the answers that only TBS
// gives.
//
//	go run ./.ci/windows [-run regexp] [-v]
//
// Wine, a C compiler for Windows (x86_64-w64-mingw32-gcc) and swtpm must be installed.
// Wine's folder, which stands for the machine's disk and registry, is a temporary one. A
// failure shows the end of what the program printed.
package main

import (
	"context"
	"flag"
	"fmt"
	"log"
	"os"
	"regexp"
	"strings"
	"time"
)

var (
	only    = flag.String("run", "", "try only what matches this regular `EXPRESSION`")
	timeout = flag.Duration("timeout", 5*time.Minute, "of each try")
)

func main() {
	log.SetFlags(0)
	log.SetPrefix("windows: ")
	flag.Parse()
	chosen, err := regexp.Compile(*only)
	if err != nil {
		log.Fatal(err)
	}
	dir, err := os.MkdirTemp("", "windows")
	if err != nil {
		log.Fatal(err)
	}
	failed := tryAll(dir, chosen)
	os.RemoveAll(dir)
	if failed {
		os.Exit(1)
	}
}

// tryAll runs the chosen tries on a new machine with files in dir, and reports whether
// anything failed.
func tryAll(dir string, chosen *regexp.Regexp) (failed bool) {
	start := time.Now()
	m, err := newMachine(context.Background(), dir)
	defer m.close()
	if err != nil {
		log.Print(err)
		return true
	}
	fmt.Printf("   %5.1f s  made the machine, built the programs\n", time.Since(start).Seconds())
	for _, t := range tries {
		if !chosen.MatchString(t.name) {
			continue
		}
		start := time.Now()
		m.bridge.set(behavior{})
		ctx, cancel := context.WithTimeout(context.Background(), *timeout)
		err := t.do(ctx, m)
		cancel()
		fmt.Printf("   %5.1f s  %s\n", time.Since(start).Seconds(), t.name)
		if err != nil {
			log.Printf("%s: %s", t.name, lastLines(err.Error(), 60))
			failed = true
		}
	}
	return failed
}

// lastLines returns the first line of a text and its last n.
func lastLines(text string, n int) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	if len(lines) <= n {
		return strings.Join(lines, "\n")
	}
	return lines[0] + "\n…\n" + strings.Join(lines[len(lines)-n:], "\n")
}

// eventually waits until a condition holds.
func eventually(what string, holds func() bool) error {
	for range 600 {
		if holds() {
			return nil
		}
		time.Sleep(100 * time.Millisecond)
	}
	return fmt.Errorf("%s: not within a minute", what)
}
