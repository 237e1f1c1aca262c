// Package guides_test has the Go code of README.md and the guides in docs, so that
// it is compiled, vetted and, where a test double can take the part of the service,
// run. To change a snippet, change it here, and copy it to the guide.
package guides_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

const top = "../.."

// TestSnippets checks that each block of Go in README.md and docs/*.md is code of a
// Go file of this module, line by line. It may be indented less than there.
func TestSnippets(t *testing.T) {
	var code []string
	err := filepath.WalkDir(top, func(path string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && path != top && strings.HasPrefix(entry.Name(), "."):
			return filepath.SkipDir
		case filepath.Ext(path) == ".go":
			text, err := os.ReadFile(path)
			code = append(code, "\n"+string(text))
			return err
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, page := range pages(t) {
		for _, block := range blocks(t, page, "go") {
			if !contains(code, block) {
				t.Errorf("%s: this code is in no Go file:\n%s", page, block)
			}
		}
	}
}

// contains reports whether one of the files has the lines of a block, all indented
// by the same number of tabs.
func contains(files []string, block string) bool {
	for range 5 {
		for _, file := range files {
			if strings.Contains(file, "\n"+block) {
				return true
			}
		}
		block = regexp.MustCompile(`(?m)^(.)`).ReplaceAllString(block, "\t$1")
	}
	return false
}

// TestContains compares blocks with a file.
func TestContains(t *testing.T) {
	file := "\nfunc f() {\n\tif g() {\n\n\t\th()\n\t}\n}\n"
	for block, want := range map[string]bool{
		"if g() {\n\n\th()\n}\n": true,
		"h()\n":                  true,
		"if g() {\n\th()\n}\n":   false,
		"()\n":                   false,
		"h\n":                    false,
		"if g() {\n\n\t\th()\n":  false,
	} {
		if contains([]string{file}, block) != want {
			t.Errorf("%q: %v", block, !want)
		}
	}
}

// TestLinks checks that what the pages link to is there: files, and headings of pages.
func TestLinks(t *testing.T) {
	link := regexp.MustCompile(`\]\(([^)\s]+)\)`)
	for _, page := range pages(t) {
		for _, m := range link.FindAllStringSubmatch(read(t, page), -1) {
			target, heading, _ := strings.Cut(m[1], "#")
			if strings.Contains(target, ":") {
				continue // elsewhere
			}
			file := page
			if target != "" {
				file = filepath.Join(filepath.Dir(page), target)
			}
			if _, err := os.Stat(file); err != nil {
				t.Errorf("%s: %v", page, err)
			} else if heading != "" && !strings.Contains(anchors(read(t, file)), "\n"+heading+"\n") {
				t.Errorf("%s: %s has no heading %q", page, file, heading)
			}
		}
	}
}

// anchors returns the anchors that GitHub gives the headings of a page, one a line.
func anchors(text string) string {
	var b strings.Builder
	b.WriteString("\n")
	for _, m := range regexp.MustCompile(`(?m)^#+ (.*)$`).FindAllStringSubmatch(text, -1) {
		id := regexp.MustCompile(`[^\pL\pN _-]`).ReplaceAllString(strings.ToLower(m[1]), "")
		b.WriteString(strings.ReplaceAll(id, " ", "-") + "\n")
	}
	return b.String()
}

// pages returns the pages whose code is checked.
func pages(t *testing.T) []string {
	t.Helper()
	docs, err := filepath.Glob(filepath.Join(top, "docs", "*.md"))
	if err != nil || len(docs) == 0 {
		t.Fatal("no pages: ", err)
	}
	return append(docs, filepath.Join(top, "README.md"), filepath.Join(top, "CONTRIBUTING.md"))
}

// blocks returns the blocks of a language on a page, each with a newline at its end.
func blocks(t *testing.T, page, language string) []string {
	t.Helper()
	var found []string
	for _, block := range strings.Split(read(t, page), "\n```"+language+"\n")[1:] {
		block, _, ok := strings.Cut(block, "\n```\n")
		if !ok {
			t.Errorf("%s: a block without an end", page)
		}
		found = append(found, block+"\n")
	}
	return found
}

func read(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return strings.ReplaceAll(string(text), "\r\n", "\n")
}
