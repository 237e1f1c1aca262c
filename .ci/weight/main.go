// Command weight prints what each library package adds to a program: its size, what
// runs before main, and the modules that it needs.
//
// Usage:
//
//	go run ./.ci/weight [package…]
//
// Without arguments it takes all library packages. For each it builds a program in which
// every exported function and method can be reached, so a real client weighs less. The
// columns are:
//
//	size    the stripped program, in megabytes (10^6 bytes)
//	more    by how much it is larger than one that only makes an HTTPS request
//	allocs  allocations before main, besides those of that program
//	own     the part of allocs that is made by packages of this module
//	modules other modules that are compiled
//
// Sizes are those of the Go version and the system that the first line names.
package main

import (
	"cmp"
	"fmt"
	"os"
	"strings"
)

const module = "github.com/whiteglove/whiteglove"

// empty is the program that the others are compared with.
const empty = `package main

import "net/http"

func main() { _, err := http.Get("https://localhost"); println(err) }
`

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "weight:", err)
		os.Exit(1)
	}
}

func run(paths []string) error {
	base, err := weigh(empty)
	if err != nil {
		return err
	}
	if len(paths) == 0 {
		if paths, err = libraries(); err != nil {
			return err
		}
	}
	version, err := output("go", "env", "GOVERSION", "GOOS", "GOARCH")
	if err != nil {
		return err
	}
	fmt.Printf("%s: an HTTPS request alone makes %.2f MB and %d allocations.\n\n", strings.Join(strings.Fields(version), " "), mb(base.size), base.allocs)
	fmt.Println("| package | size | more | allocs | own | modules |")
	fmt.Println("|---|---|---|---|---|---|")
	for _, path := range paths {
		p, err := load(path)
		if err != nil {
			return err
		}
		w, err := weigh(p.program())
		if err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		fmt.Printf("| %s | %.2f | %.2f | %d | %d | %s |\n", strings.TrimPrefix(p.ImportPath, module+"/"), mb(w.size), mb(w.size-base.size),
			w.allocs-base.allocs, w.own, cmp.Or(strings.Join(p.modules, " "), "–"))
	}
	return nil
}

func mb(size int64) float64 { return float64(size) / 1e6 }
