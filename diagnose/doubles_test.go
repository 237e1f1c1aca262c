package diagnose_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/whiteglove/whiteglove/diagnose"
)

// A source is a package of which words, numbers and texts are collected that its
// servers send.
type source struct {
	consts map[string]string
	found  []string
}

// read collects what a package of test servers sends: arguments of the functions that
// make refusals, and fields of their errors. number formats a number.
func read(t *testing.T, dir string, args map[string][]int, fields []string, number string) []string {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil || len(names) == 0 {
		t.Fatalf("%s: no files, or %v", dir, err)
	}
	s := source{consts: map[string]string{}}
	var files []*ast.File
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, file)
		ast.Inspect(file, s.constant)
	}
	for _, file := range files {
		ast.Inspect(file, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.CallExpr:
				name, ok := n.Fun.(*ast.Ident)
				for _, i := range args[fmt.Sprint(name)] {
					if ok && i < len(n.Args) {
						s.add(n.Args[i], number)
					}
				}
			case *ast.KeyValueExpr:
				if name, ok := n.Key.(*ast.Ident); ok && slices.Contains(fields, name.Name) {
					s.add(n.Value, number)
				}
			}
			return true
		})
	}
	return s.found
}

// constant notes a constant with a text.
func (s *source) constant(n ast.Node) bool {
	if spec, ok := n.(*ast.ValueSpec); ok {
		for i, v := range spec.Values {
			if lit, ok := v.(*ast.BasicLit); ok && lit.Kind == token.STRING {
				s.consts[spec.Names[i].Name], _ = strconv.Unquote(lit.Value)
			}
		}
	}
	return true
}

// add adds the value of an expression, if it is constant.
func (s *source) add(e ast.Expr, number string) {
	text := ""
	switch e := e.(type) {
	case *ast.Ident:
		text = s.consts[e.Name]
	case *ast.BasicLit:
		if text = number + e.Value; e.Kind == token.STRING {
			text, _ = strconv.Unquote(e.Value)
		}
	}
	if text != "" && !slices.Contains(s.found, text) {
		s.found = append(s.found, text)
	}
}

var verb = regexp.MustCompile(`%[.0-9]*[a-z]`)

// Whatever the test servers answer a refused request with is known: subcodes, numbers of
// the token service, types of faults, and the texts of the attestation CA.
func TestDoubles(t *testing.T) {
	for dir, want := range map[string]struct {
		args   map[string][]int
		fields []string
		least  int // how many words are expected
	}{
		"../drs/drstest":       {map[string][]int{"noGrant": {0, 1, 2}, "noJoin": {0}, "noProof": {0}}, []string{"code", "subcode", "aadsts"}, 45},
		"../mdm/mdmtest":       {map[string][]int{"refuse": {0}}, []string{"subcode", "errorType"}, 8},
		"../aik/aiktest":       {map[string][]int{"refuse": {1}}, nil, 3},
		"../scep/sceptest":     {nil, []string{"Message"}, 3},
		"../ekcert/ekcerttest": {map[string][]int{"refuse": {0}}, nil, 5},
	} {
		sent := read(t, dir, want.args, want.fields, "AADSTS")
		if len(sent) < want.least {
			t.Errorf("%s: only %q", dir, sent)
		}
		for _, text := range sent {
			known := func(m diagnose.Meaning) bool { return m.Known() }
			if found := diagnose.Decode(verb.ReplaceAllString(text, "x")); !slices.ContainsFunc(found, known) {
				t.Errorf("%s: %q is not known: %v", dir, text, found)
			}
		}
	}
}
