// Command api prints the exported names of the library packages, one a line, so
// that a change of what programs rely on is seen.
//
// Usage:
//
//	go run ./.ci/api [-check file]
//
// Each line begins with the package's path within the module, as in
//
//	attest: func Open(path string) (*TPM, error)
//	attest: type Key struct
//	attest: method (*Key) Name() []byte
//
// Fields of structs, methods of interfaces, and constants with their values have
// lines of their own. Programs under examples and internal packages are left out.
// The listing is that of Linux.
//
// With -check it compares the listing with the one in the file, prints each line
// that is new (+) or gone (-), and fails if there is any.
package main

import (
	"flag"
	"fmt"
	"os"
	"strings"
)

func main() {
	check := flag.String("check", "", "compare with the listing in this `file`")
	flag.Parse()
	if err := run(*check); err != nil {
		fmt.Fprintln(os.Stderr, "api:", err)
		os.Exit(1)
	}
}

func run(check string) error {
	lines, err := listing()
	if err != nil {
		return err
	}
	if check == "" {
		fmt.Println(strings.Join(lines, "\n"))
		return nil
	}
	text, err := os.ReadFile(check)
	if err != nil {
		return err
	}
	changes := compare(strings.Split(strings.TrimSuffix(string(text), "\n"), "\n"), lines)
	if len(changes) == 0 {
		return nil
	}
	fmt.Println(strings.Join(changes, "\n"))
	return fmt.Errorf("the exported names have changed; if that is intended, say so in CHANGELOG.md and run: go run ./.ci/api >%s", check)
}

// compare returns the lines of old that are not in new, with "- ", and those of new
// that are not in old, with "+ ".
func compare(old, new []string) []string {
	var changes []string
	had, has := make(map[string]bool), make(map[string]bool)
	for _, line := range old {
		had[line] = true
	}
	for _, line := range new {
		has[line] = true
	}
	for _, line := range old {
		if !has[line] {
			changes = append(changes, "- "+line)
		}
	}
	for _, line := range new {
		if !had[line] {
			changes = append(changes, "+ "+line)
		}
	}
	return changes
}
