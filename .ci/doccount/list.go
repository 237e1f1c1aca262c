package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/build/constraint"
	"go/parser"
	"go/token"
	"io"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"
)

// A folder is a package with the files that are not tests, for every system.
type folder struct {
	Name   string // path within the module; "." is the root
	Double bool   // it is a test double
	Fset   *token.FileSet
	Files  []*ast.File
	Text   [][]byte // the source of each file
}

// list asks the go command for the packages and reads those that count.
func list(patterns []string) ([]*folder, error) {
	if len(patterns) == 0 {
		patterns = []string{"./..."}
	}
	cmd := exec.Command("go", append([]string{"list", "-json=ImportPath,Name,Dir,Module,GoFiles,IgnoredGoFiles"}, patterns...)...)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("go list: %w", err)
	}
	var folders []*folder
	for dec := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p struct {
			ImportPath, Name, Dir   string
			Module                  struct{ Path string }
			GoFiles, IgnoredGoFiles []string
		}
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			return folders, nil
		} else if err != nil {
			return nil, err
		}
		f := &folder{Name: strings.TrimPrefix(strings.TrimPrefix(p.ImportPath, p.Module.Path), "/"), Fset: token.NewFileSet()}
		if f.Name == "" {
			f.Name = "."
		}
		if !counts(f.Name) || p.Name == "main" {
			continue
		}
		f.Double = double(f.Name)
		if err := f.read(p.Dir, p.Name, append(p.GoFiles, p.IgnoredGoFiles...)); err != nil {
			return nil, err
		}
		folders = append(folders, f)
	}
}

// counts reports whether a package is one for users of the module.
func counts(name string) bool {
	for elem := range strings.SplitSeq(name, "/") {
		if elem == "internal" || elem == "examples" || strings.HasPrefix(elem, ".") && elem != "." {
			return false
		}
	}
	return true
}

// double reports whether a package is a test double, as aik/aiktest is.
func double(name string) bool {
	dir, base := path.Split(name)
	return dir != "" && base == path.Base(dir)+"test"
}

func (f *folder) read(dir, pkg string, names []string) error {
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file := filepath.Join(dir, name)
		text, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		a, err := parser.ParseFile(f.Fset, relative(file), text, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		if a.Name.Name != pkg || ignored(a) {
			continue
		}
		f.Files, f.Text = append(f.Files, a), append(f.Text, text)
	}
	return nil
}

// ignored reports whether a file is in no build at all.
func ignored(a *ast.File) bool {
	for _, group := range a.Comments {
		for _, c := range group.List {
			if c.Pos() < a.Package && constraint.IsGoBuild(c.Text) {
				if x, err := constraint.Parse(c.Text); err == nil {
					return !x.Eval(func(tag string) bool { return tag != "ignore" })
				}
			}
		}
	}
	return false
}

// relative returns the file's path from the working directory, if it has one.
func relative(file string) string {
	if wd, err := os.Getwd(); err == nil {
		if rel, err := filepath.Rel(wd, file); err == nil {
			return rel
		}
	}
	return file
}
