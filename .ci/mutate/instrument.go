package main

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/format"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// swaps are the changes of comparisons. A condition that is negated needs none of
// these for == and !=.
var swaps = map[token.Token]token.Token{
	token.LSS: token.LEQ, token.LEQ: token.LSS, token.GTR: token.GEQ, token.GEQ: token.GTR,
	token.LAND: token.LOR, token.LOR: token.LAND, token.EQL: token.NEQ, token.NEQ: token.EQL,
}

// choice is added to the package: whether mutant number n is the one that runs. It
// notes each number that it is asked about in a file, if there is one.
const choice = `package %s

import (
	"fmt"
	"os"
	"strconv"
	"sync/atomic"
)

var (
	mutantThatRuns, _ = strconv.Atoi(os.Getenv("MUTANT"))
	mutantsFile, _    = os.OpenFile(os.Getenv("MUTANTS_REACHED"), os.O_APPEND|os.O_WRONLY, 0)
	mutantsReached    [1 << 14]atomic.Bool // a map would allocate, and some tests count that
)

func mutantRuns(n int) bool {
	if mutantsFile != nil && !mutantsReached[n].Swap(true) {
		fmt.Fprintln(mutantsFile, n)
	}
	return n == mutantThatRuns
}
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
