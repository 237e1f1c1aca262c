package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"go/importer"
	"go/token"
	"go/types"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
)

// listing returns the exported names of all library packages, sorted within each.
func listing() ([]string, error) {
	cmd := exec.Command("go", "list", "-export", "-deps", "-json=ImportPath,Name,Export,Module", "./...")
	cmd.Env = append(os.Environ(), "GOOS=linux", "GOARCH=amd64", "CGO_ENABLED=0")
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("go list: %w", err)
	}
	exports := make(map[string]string) // the compiler's description of each package, by import path
	var paths []string
	names := make(map[string]string) // path within the module, by import path
	for dec := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p struct {
			ImportPath, Name, Export string
			Module                   struct {
				Path string
				Main bool
			}
		}
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return nil, err
		}
		exports[p.ImportPath] = p.Export
		name := strings.TrimPrefix(strings.TrimPrefix(p.ImportPath, p.Module.Path), "/")
		if p.Module.Main && p.Name != "main" && public(name) {
			paths = append(paths, p.ImportPath)
			names[p.ImportPath] = name
		}
	}
	slices.Sort(paths)
	imp := importer.ForCompiler(token.NewFileSet(), "gc", func(path string) (io.ReadCloser, error) { return os.Open(exports[path]) })
	var lines []string
	for _, path := range paths {
		pkg, err := imp.Import(path)
		if err != nil {
			return nil, err
		}
		for _, line := range exported(pkg) {
			lines = append(lines, names[path]+": "+line)
		}
	}
	return lines, nil
}

// public reports whether programs of others can and should import a package.
func public(name string) bool {
	for elem := range strings.SplitSeq(name, "/") {
		if elem == "internal" || elem == "examples" {
			return false
		}
	}
	return true
}

// exported returns a line for each exported name of a package, sorted.
func exported(pkg *types.Package) []string {
	// Names of other packages have the name of their package, as in the source.
	qualify := func(other *types.Package) string {
		if other == pkg {
			return ""
		}
		return other.Name()
	}
	var lines []string
	add := func(format string, args ...any) { lines = append(lines, fmt.Sprintf(format, args...)) }
	for _, name := range pkg.Scope().Names() {
		if !token.IsExported(name) {
			continue
		}
		switch obj := pkg.Scope().Lookup(name).(type) {
		case *types.Const:
			add("const %s %s = %s", name, types.TypeString(obj.Type(), qualify), obj.Val().ExactString())
		case *types.Var:
			add("var %s %s", name, types.TypeString(obj.Type(), qualify))
		case *types.Func:
			add("func %s%s", name, signature(obj, qualify))
		case *types.TypeName:
			describe(obj, qualify, add)
		}
	}
	slices.Sort(lines)
	return lines
}

// describe adds the lines of a type: itself, its exported fields and its methods.
func describe(obj *types.TypeName, qualify types.Qualifier, add func(string, ...any)) {
	name := obj.Name()
	if obj.IsAlias() {
		add("type %s = %s", name, types.TypeString(types.Unalias(obj.Type()), qualify))
		return
	}
	switch t := obj.Type().Underlying().(type) {
	case *types.Struct:
		add("type %s struct", name)
		for f := range t.Fields() {
			if !f.Exported() {
				continue
			}
			if f.Embedded() {
				add("field %s embeds %s", name, types.TypeString(f.Type(), qualify))
				continue
			}
			add("field %s.%s %s", name, f.Name(), types.TypeString(f.Type(), qualify))
		}
	case *types.Interface:
		add("type %s interface", name)
		for m := range t.Methods() {
			if m.Exported() {
				add("method (%s) %s%s", name, m.Name(), signature(m, qualify))
			} else {
				add("method (%s) has unexported methods", name)
			}
		}
	default:
		add("type %s %s", name, types.TypeString(t, qualify))
	}
	named, ok := obj.Type().(*types.Named)
	if !ok {
		return
	}
	for m := range named.Methods() {
		if m.Exported() {
			recv := types.TypeString(m.Signature().Recv().Type(), qualify)
			add("method (%s) %s%s", recv, m.Name(), signature(m, qualify))
		}
	}
}

// signature returns parameters and results of a function.
func signature(f *types.Func, qualify types.Qualifier) string {
	return strings.TrimPrefix(types.TypeString(f.Signature(), qualify), "func")
}
