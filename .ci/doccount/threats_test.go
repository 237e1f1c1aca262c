package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var (
	packageName = regexp.MustCompile("`[a-z/]+`")
	testName    = regexp.MustCompile(`\bTest\w+`)
)

// Each row of docs/threats.md names tests, and each of them is in each of the packages
// before it.
func TestThreats(t *testing.T) {
	text, err := os.ReadFile("../../docs/threats.md")
	if err != nil {
		t.Fatal(err)
	}
	rows, named := 0, 0
	for line := range strings.Lines(string(text)) {
		cells := strings.Split(strings.Trim(line, "| \n"), " | ")
		if !strings.HasPrefix(line, "|") || strings.HasPrefix(line, "|-") || cells[0] == "Who" {
			continue
		}
		rows++
		shown := cells[len(cells)-1]
		if len(testName.FindAllString(shown, -1)) == 0 {
			t.Errorf("no test: %s", line)
		}
		for part := range strings.SplitSeq(shown, ";") {
			for _, dir := range packageName.FindAllString(part, -1) {
				for _, test := range testName.FindAllString(part, -1) {
					named++
					if dir = strings.Trim(dir, "`"); !hasTest(t, "../../"+dir, test) {
						t.Errorf("%s has no %s", dir, test)
					}
				}
			}
		}
	}
	if rows < 20 || named < rows {
		t.Errorf("%d rows name %d tests", rows, named)
	}
}

// hasTest reports whether a package has a test.
func hasTest(t *testing.T, dir, test string) bool {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*_test.go"))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		source, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(source), "\nfunc "+test+"(t *testing.T)") {
			return true
		}
	}
	return false
}
