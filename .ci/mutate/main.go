// Mutate negates conditions and changes comparisons of packages, one at a time, and
// runs the package's tests with each change. A change that no test notices survives.
//
//	go run ./.ci/mutate [-run regexp] [-skip regexp] [-also packages] [-every n] [-timeout 60s] [-known file] [-list] package...
//
// A package is a folder such as ./attest, or some of its files: ./attest:statement.go,quote.go.
// -skip leaves out tests of the package, such as slow ones. -also names packages,
// separated by commas, whose tests are all run with a mutant that survived; the package
// itself may be among them. No file changes: the tests are built with an overlay, once
// for all mutants. -known names a file with mutants that no test can notice: on each line
// the file, the line's code without spaces at its ends, the change and the reason,
// separated by " | ".
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
}

func (m *mutant) name() string { return m.file + " | " + m.code + " | " + m.what }

var (
	run     = flag.String("run", "", "run only these tests")
	skip    = flag.String("skip", "", "leave out these tests of the package")
	also    = flag.String("also", "", "run the tests of these packages, separated by commas, with what survived")
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
	tmp, err := os.MkdirTemp("", "mutate")
	if err != nil {
		return false, err
	}
	defer os.RemoveAll(tmp)
	var all []*mutant
	replace := make(map[string]string)
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") || only != "" && !slices.Contains(strings.Split(only, ","), filepath.Base(name)) {
			continue
		}
		if err := instrument(name, tmp, &all, replace); err != nil {
			return false, err
		}
	}
	if *list {
		for _, m := range all {
			fmt.Printf("%s:%d: %s -> %s\n", m.file, m.line, m.code, m.what)
		}
		return false, nil
	}
	var tests []test
	for i, pkg := range append([]string{"./" + dir}, strings.FieldsFunc(*also, func(r rune) bool { return r == ',' })...) {
		t := test{dir: filepath.Clean(pkg), binary: filepath.Join(tmp, fmt.Sprint("test", i))}
		if i == 0 {
			t.skip = *skip
		}
		if err := t.build(tmp, replace); err != nil {
			return false, err
		}
		tests = append(tests, t)
	}
	if !passes(tests, 0) {
		return false, fmt.Errorf("%s: the tests fail, or take too long, without a change", dir)
	}
	var killed, survivors, same int
	for i, m := range all {
		if (i+1)%*every != 0 {
			continue
		}
		switch {
		case !passes(tests, i+1):
			killed++
		case equivalent[m.name()]:
			same++
		default:
			survivors++
			fmt.Printf("survived %s:%d: %s\n", m.file, m.line, m.name())
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

// choice is added to the package: whether mutant number n is the one that runs.
const choice = `package %s

import (
	"os"
	"strconv"
)

var mutantThatRuns, _ = strconv.Atoi(os.Getenv("MUTANT"))

func mutantRuns(n int) bool { return n == mutantThatRuns }
`

// instrument writes a file with all of its mutants, of which a variable of the
// environment chooses one: each condition negated, in an if, a case of a switch without
// a tag and a return of a comparison, and each operator in it changed. It adds the
// mutants to all, and what takes the place of which file to replace.
func instrument(name, tmp string, all *[]*mutant, replace map[string]string) error {
	source, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	fset := token.NewFileSet()
	file, err := parser.ParseFile(fset, name, source, parser.ParseComments)
	if err != nil {
		return err
	}
	lines := bytes.Split(source, []byte("\n"))
	in := &instrumenter{add: func(at token.Pos, what string) *ast.CallExpr {
		line := fset.Position(at).Line
		*all = append(*all, &mutant{name, line, strings.TrimSpace(string(lines[line-1])), what})
		return &ast.CallExpr{Fun: ast.NewIdent("mutantRuns"), Args: []ast.Expr{&ast.BasicLit{Kind: token.INT, Value: fmt.Sprint(len(*all))}}}
	}}
	ast.Inspect(file, in.visit)
	for _, at := range in.conditions {
		in.negate(at)
	}
	path, err := filepath.Abs(name)
	if err != nil {
		return err
	}
	var b bytes.Buffer
	file.Comments = slices.DeleteFunc(file.Comments, func(c *ast.CommentGroup) bool { return c.Pos() > file.Package })
	if err := format.Node(&b, fset, file); err != nil {
		return err
	}
	replace[path] = filepath.Join(tmp, filepath.Base(name))
	if err := os.WriteFile(replace[path], b.Bytes(), 0o600); err != nil {
		return err
	}
	extra := filepath.Join(filepath.Dir(path), "mutant_choice.go")
	replace[extra] = filepath.Join(tmp, "mutant_choice.go")
	return os.WriteFile(replace[extra], fmt.Appendf(nil, choice, file.Name.Name), 0o600)
}

// An instrumenter changes conditions. add notes a mutant and returns the call that tells
// whether it runs.
type instrumenter struct {
	add        func(at token.Pos, what string) *ast.CallExpr
	conditions []*ast.Expr
}

// visit collects the conditions, for ast.Inspect.
func (in *instrumenter) visit(n ast.Node) bool {
	switch n := n.(type) {
	case *ast.IfStmt:
		in.conditions = append(in.conditions, &n.Cond)
	case *ast.SwitchStmt:
		if n.Tag != nil {
			return true
		}
		for _, c := range n.Body.List {
			for i := range c.(*ast.CaseClause).List {
				in.conditions = append(in.conditions, &c.(*ast.CaseClause).List[i])
			}
		}
	case *ast.ReturnStmt:
		for i, e := range n.Results {
			if b, ok := e.(*ast.BinaryExpr); ok && swaps[b.Op] != 0 {
				in.conditions = append(in.conditions, &n.Results[i])
			}
		}
	}
	return true
}

// negate replaces a condition c by mutantRuns(n) != (c), after the operators in c.
func (in *instrumenter) negate(at *ast.Expr) {
	call := in.add((*at).Pos(), "negated")
	inner := *at
	// == and != at the top would be the same change again.
	if b, ok := inner.(*ast.BinaryExpr); ok && (b.Op == token.EQL || b.Op == token.NEQ) {
		in.operators(&b.X)
		in.operators(&b.Y)
	} else {
		in.operators(&inner)
	}
	*at = &ast.BinaryExpr{X: call, Op: token.NEQ, Y: &ast.ParenExpr{X: inner}}
}

// operators replaces each a OP b in an expression by
// (mutantRuns(n) && (a OTHER b) || !mutantRuns(n) && (a OP b)).
func (in *instrumenter) operators(at *ast.Expr) {
	switch e := (*at).(type) {
	case *ast.ParenExpr:
		in.operators(&e.X)
	case *ast.UnaryExpr:
		in.operators(&e.X)
	case *ast.BinaryExpr:
		if other, ok := swaps[e.Op]; ok {
			call := in.add(e.OpPos, fmt.Sprintf("%s %s", e.Op, other))
			in.operators(&e.X)
			in.operators(&e.Y)
			changed, same := *e, *e
			changed.Op = other
			*at = &ast.ParenExpr{X: &ast.BinaryExpr{
				X: &ast.BinaryExpr{X: call, Op: token.LAND, Y: &ast.ParenExpr{X: &changed}}, Op: token.LOR,
				Y: &ast.BinaryExpr{X: &ast.UnaryExpr{Op: token.NOT, X: call}, Op: token.LAND, Y: &ast.ParenExpr{X: &same}},
			}}
		}
	}
}

// A test is the tests of a package.
type test struct {
	dir    string
	binary string
	skip   string // tests to leave out
}

// build builds the tests with files in the place of others.
func (t test) build(tmp string, replace map[string]string) error {
	overlay := filepath.Join(tmp, "overlay.json")
	text, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		return err
	}
	if err := os.WriteFile(overlay, text, 0o600); err != nil {
		return err
	}
	if out, err := exec.Command("go", "test", "-c", "-overlay", overlay, "-vet=off", "-o", t.binary, "./"+t.dir).CombinedOutput(); err != nil {
		return fmt.Errorf("%w: %s", err, out)
	}
	return nil
}

// passes reports whether tests pass with the mutant number n; 0 is none.
func passes(tests []test, n int) bool {
	for _, t := range tests {
		ctx, cancel := context.WithTimeout(context.Background(), *timeout+time.Minute)
		cmd := exec.CommandContext(ctx, t.binary, "-test.failfast", "-test.short", "-test.timeout", timeout.String(), "-test.run", *run, "-test.skip", t.skip)
		cmd.Dir = t.dir
		cmd.Env = append(os.Environ(), fmt.Sprint("MUTANT=", n))
		err := cmd.Run()
		cancel()
		if err != nil {
			return false
		}
	}
	return true
}
