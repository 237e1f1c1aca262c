// Mutate negates conditions and changes comparisons of packages, one at a time, and
// runs the package's tests with each change. A change that no test notices survives.
//
//	go run ./.ci/mutate [-run regexp] [-every n] [-timeout 60s] [-known file] [-list] package...
//
// A package is a folder such as ./attest, or some of its files: ./attest:statement.go,quote.go.
// No file changes: the tests are built with an overlay. -known names a file with
// mutants that no test can notice: on each line the file, the line's code without
// spaces at its ends, the change and the reason, separated by " | ".
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"go/ast"
	"go/format"
	"go/parser"
	"go/token"
	"log"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// A mutant is one change of a file.
type mutant struct {
	file string
	line int
	code string // the line before the change
	what string // the change
	do   func() // makes the change in the syntax tree
	undo func()
}

func (m *mutant) name() string { return m.file + " | " + m.code + " | " + m.what }

var (
	run     = flag.String("run", "", "run only these tests")
	every   = flag.Int("every", 1, "take every nth mutant only")
	timeout = flag.Duration("timeout", time.Minute, "of each run of the tests; a mutant that takes longer is killed")
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
	var killed, survivors, same, at int
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") || only != "" && !slices.Contains(strings.Split(only, ","), filepath.Base(name)) {
			continue
		}
		fset := token.NewFileSet()
		source, err := os.ReadFile(name)
		if err != nil {
			return false, err
		}
		file, err := parser.ParseFile(fset, name, source, parser.ParseComments)
		if err != nil {
			return false, err
		}
		for _, m := range mutants(fset, file, name, source) {
			if at++; at%*every != 0 {
				continue
			}
			if *list {
				fmt.Printf("%s:%d: %s -> %s\n", m.file, m.line, m.code, m.what)
				continue
			}
			dead, err := try(dir, name, fset, file, m)
			switch {
			case err != nil:
				return false, err
			case dead:
				killed++
			case equivalent[m.name()]:
				same++
			default:
				survivors++
				fmt.Printf("survived %s:%d: %s\n", m.file, m.line, m.name())
			}
		}
	}
	fmt.Printf("%s: %d killed, %d survived, %d equivalent\n", dir, killed, survivors, same)
	return survivors > 0, nil
}

// swaps are the changes of comparisons. A condition that is negated needs none of
// these for == and !=.
var swaps = map[token.Token]token.Token{
	token.LSS: token.LEQ, token.LEQ: token.LSS, token.GTR: token.GEQ, token.GEQ: token.GTR,
	token.LAND: token.LOR, token.LOR: token.LAND, token.EQL: token.NEQ, token.NEQ: token.EQL,
}

// mutants returns the mutants of a file: each condition negated, in an if, a case of a
// switch without a tag and a return of a comparison, and each operator in it changed.
func mutants(fset *token.FileSet, file *ast.File, name string, source []byte) []*mutant {
	lines := bytes.Split(source, []byte("\n"))
	var out []*mutant
	add := func(at token.Pos, what string, do, undo func()) {
		line := fset.Position(at).Line
		out = append(out, &mutant{name, line, strings.TrimSpace(string(lines[line-1])), what, do, undo})
	}
	negate := func(at *ast.Expr) {
		old := *at
		add(old.Pos(), "negated", func() { *at = &ast.UnaryExpr{Op: token.NOT, X: &ast.ParenExpr{X: old}} }, func() { *at = old })
		ast.Inspect(old, func(n ast.Node) bool {
			b, ok := n.(*ast.BinaryExpr)
			if !ok {
				return true
			}
			if to, ok := swaps[b.Op]; ok && (n != ast.Node(old) || b.Op != token.EQL && b.Op != token.NEQ) {
				from := b.Op
				add(b.OpPos, fmt.Sprintf("%s %s", from, to), func() { b.Op = to }, func() { b.Op = from })
			}
			return true
		})
	}
	ast.Inspect(file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.IfStmt:
			negate(&n.Cond)
		case *ast.SwitchStmt:
			if n.Tag != nil {
				return true
			}
			for _, c := range n.Body.List {
				for i := range c.(*ast.CaseClause).List {
					negate(&c.(*ast.CaseClause).List[i])
				}
			}
		case *ast.ReturnStmt:
			for i, e := range n.Results {
				if b, ok := e.(*ast.BinaryExpr); ok && swaps[b.Op] != 0 {
					negate(&n.Results[i])
				}
			}
		}
		return true
	})
	return out
}

// try runs the tests with a mutant, and reports whether they failed.
func try(dir, name string, fset *token.FileSet, file *ast.File, m *mutant) (dead bool, err error) {
	m.do()
	defer m.undo()
	var b bytes.Buffer
	if err := format.Node(&b, fset, file); err != nil {
		return false, err
	}
	tmp, err := os.MkdirTemp("", "mutate")
	if err != nil {
		return false, err
	}
	defer os.RemoveAll(tmp)
	path, err := filepath.Abs(name)
	if err != nil {
		return false, err
	}
	changed, overlay := filepath.Join(tmp, "mutant.go"), filepath.Join(tmp, "overlay.json")
	text, err := json.Marshal(map[string]any{"Replace": map[string]string{path: changed}})
	if err != nil {
		return false, err
	}
	if err := os.WriteFile(changed, b.Bytes(), 0o600); err != nil {
		return false, err
	}
	if err := os.WriteFile(overlay, text, 0o600); err != nil {
		return false, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), *timeout+time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "go", "test", "-overlay", overlay, "-vet=off", "-failfast", "-short",
		"-timeout", timeout.String(), "-run", *run, "./"+dir)
	out, err := cmd.CombinedOutput()
	if err != nil && bytes.Contains(out, []byte("build failed")) {
		return true, nil // such as an unused variable
	}
	return err != nil, nil
}
