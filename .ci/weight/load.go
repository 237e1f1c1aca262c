package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// A library is a package that programs can import.
type library struct {
	ImportPath, Dir, Name string
	GoFiles               []string
	Deps                  []string

	modules []string // paths of other modules that are compiled
}

// libraries returns the paths of all library packages that have code.
func libraries() ([]string, error) {
	list, err := output("go", "list", "-f", "{{if len .Imports}}{{.ImportPath}}{{end}}", module+"/...")
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(strings.Fields(list), func(path string) bool {
		parts := strings.Split(path, "/")
		last := parts[len(parts)-1]
		double := len(parts) > 1 && last == parts[len(parts)-2]+"test"
		return double || slices.Contains(parts, "internal") || slices.Contains(parts, "examples")
	}), nil
}

// load returns a library.
func load(path string) (*library, error) {
	text, err := output("go", "list", "-json=ImportPath,Dir,Name,GoFiles,Deps", path)
	if err != nil {
		return nil, err
	}
	p := new(library)
	if err := json.Unmarshal([]byte(text), p); err != nil {
		return nil, err
	}
	text, err = output("go", "list", "-deps", "-f", "{{with .Module}}{{.Path}}{{end}}", path)
	for _, m := range strings.Fields(text) {
		if m != module && !slices.Contains(p.modules, m) {
			p.modules = append(p.modules, m)
		}
	}
	slices.Sort(p.modules)
	return p, err
}

// program returns a program that reaches every exported function and method of p.
func (p *library) program() string {
	var b strings.Builder
	fmt.Fprintf(&b, "package main\n\nimport (\n\t\"net/http\"\n\n\tp %q\n)\n\nvar keep = []any{\n\thttp.Get,\n", p.ImportPath)
	for _, name := range p.functions() {
		fmt.Fprintf(&b, "\t%s,\n", name)
	}
	b.WriteString("}\n\nfunc main() { println(len(keep), keep) }\n")
	return b.String()
}

// functions returns expressions for the exported functions and methods that are not
// generic.
func (p *library) functions() []string {
	var list []string
	for _, name := range p.GoFiles {
		file, err := parser.ParseFile(token.NewFileSet(), filepath.Join(p.Dir, name), nil, 0)
		if err != nil {
			continue // the compiler will say so
		}
		for _, decl := range file.Decls {
			f, ok := decl.(*ast.FuncDecl)
			if !ok || !f.Name.IsExported() || f.Type.TypeParams != nil {
				continue
			}
			if f.Recv == nil {
				list = append(list, "p."+f.Name.Name)
				continue
			}
			of, pointer := f.Recv.List[0].Type, ""
			if star, ok := of.(*ast.StarExpr); ok {
				of, pointer = star.X, "*"
			}
			if id, ok := of.(*ast.Ident); ok && id.IsExported() {
				list = append(list, fmt.Sprintf("(%sp.%s).%s", pointer, id.Name, f.Name.Name))
			}
		}
	}
	slices.Sort(list)
	return list
}

// output runs a program and returns what it prints.
func output(name string, args ...string) (string, error) {
	cmd := exec.Command(name, args...)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	out, err := cmd.Output()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		err = fmt.Errorf("%s: %w: %s", name, err, exit.Stderr)
	}
	return string(out), err
}
