package main

import (
	"fmt"
	"go/ast"
	"go/doc"
	"go/scanner"
	"go/token"
	"slices"
	"strings"
)

// A row holds the numbers of one package.
type row struct {
	Package                 string
	Double                  bool
	Entries, Names, Methods int
	Fields, Bare, Long      int
	Failing, Unnamed        int
	Comment                 int // percent
}

// A counter fills a row and notes what is bare or unnamed, with its position.
type counter struct {
	row
	fset    *token.FileSet
	missing []string
}

// count counts one package.
func count(f *folder) (*counter, error) {
	r := &counter{row: row{Package: f.Name, Double: f.Double}, fset: f.Fset}
	var comment, code int
	for i, text := range f.Text {
		m, n := lines(f.Fset.File(f.Files[i].Package).Name(), text)
		comment, code = comment+m, code+n
	}
	if comment > 0 {
		r.Comment = 100 * comment / (comment + code)
	}
	p, err := doc.NewFromFiles(f.Fset, f.Files, f.Name)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", f.Name, err)
	}
	r.values(p.Consts)
	r.values(p.Vars)
	r.functions(p.Funcs)
	for _, t := range p.Types {
		r.values(t.Consts)
		r.values(t.Vars)
		r.functions(t.Funcs)
		r.typ(t)
		for _, m := range t.Methods {
			r.Methods++
			r.function(m.Decl, strings.TrimPrefix(m.Recv, "*")+"."+m.Name, m.Doc)
		}
	}
	slices.Sort(r.missing)
	return r, nil
}

func (r *counter) values(values []*doc.Value) {
	for _, v := range values {
		r.Entries++
		for _, spec := range v.Decl.Specs {
			s := spec.(*ast.ValueSpec)
			text := s.Doc.Text() + s.Comment.Text()
			if text == "" {
				text = v.Doc // the comment of the whole group
			}
			for _, name := range s.Names {
				if name.IsExported() {
					r.Names++
					r.documented(name, name.Name, text)
				}
			}
		}
	}
}

func (r *counter) functions(funcs []*doc.Func) {
	for _, f := range funcs {
		r.Entries++
		r.Names++
		r.function(f.Decl, f.Name, f.Doc)
	}
}

func (r *counter) function(decl *ast.FuncDecl, name, text string) {
	r.documented(decl, name, text)
	r.failing(decl, name, decl.Type, text)
}

func (r *counter) typ(t *doc.Type) {
	r.Entries++
	r.Names++
	r.documented(t.Decl, t.Name, t.Doc)
	for _, spec := range t.Decl.Specs {
		switch x := spec.(*ast.TypeSpec).Type.(type) {
		case *ast.StructType:
			for _, f := range x.Fields.List {
				if len(f.Names) == 0 && exported(f.Type) {
					r.Fields++
				}
				for _, name := range f.Names {
					if name.IsExported() {
						r.Fields++
					}
				}
			}
		case *ast.InterfaceType:
			for _, m := range x.Methods.List {
				sig, ok := m.Type.(*ast.FuncType)
				if !ok || !m.Names[0].IsExported() {
					continue
				}
				name, text := t.Name+"."+m.Names[0].Name, m.Doc.Text()+m.Comment.Text()
				r.Methods++
				r.documented(m, name, text)
				r.failing(m, name, sig, text)
			}
		}
	}
}

// exported reports whether an embedded field is exported.
func exported(x ast.Expr) bool {
	switch x := x.(type) {
	case *ast.StarExpr:
		return exported(x.X)
	case *ast.IndexExpr:
		return exported(x.X)
	case *ast.SelectorExpr:
		return x.Sel.IsExported()
	case *ast.Ident:
		return x.IsExported()
	}
	return false
}

// documented counts the comment of a name or method.
func (r *counter) documented(at ast.Node, name, text string) {
	switch n := len(sentences(text)); {
	case n == 0:
		r.Bare++
		r.miss(at, name, "no doc comment")
	case n > 1:
		r.Long++
	}
}

// failing counts a function if it can fail.
func (r *counter) failing(at ast.Node, name string, sig *ast.FuncType, text string) {
	if !fails(sig) || strings.HasSuffix(name, ".Unwrap") {
		return
	}
	r.Failing++
	if !namesErrors(text) {
		r.Unnamed++
		r.miss(at, name, "does not name its errors")
	}
}

func (r *counter) miss(at ast.Node, name, what string) {
	pos := r.fset.Position(at.Pos())
	r.missing = append(r.missing, fmt.Sprintf("%s:%d: %s: %s", pos.Filename, pos.Line, name, what))
}

// fails reports whether a function returns an error, be it within another type
// as in iter.Seq2[T, error].
func fails(sig *ast.FuncType) bool {
	found := false
	if sig.Results != nil {
		ast.Inspect(sig.Results, func(n ast.Node) bool {
			id, ok := n.(*ast.Ident)
			found = found || ok && id.Name == "error"
			return !found
		})
	}
	return found
}

// lines counts the lines of a file that hold only a comment and those that hold code.
func lines(name string, text []byte) (comment, code int) {
	fset := token.NewFileSet()
	file := fset.AddFile(name, -1, len(text))
	var s scanner.Scanner
	s.Init(file, text, nil, scanner.ScanComments)
	comments, codes := map[int]bool{}, map[int]bool{}
	for {
		pos, tok, lit := s.Scan()
		switch {
		case tok == token.EOF:
			for line := range codes {
				delete(comments, line)
			}
			return len(comments), len(codes)
		case tok == token.SEMICOLON && lit == "\n", strings.HasPrefix(lit, "//go:"):
			continue
		}
		lines := codes
		if tok == token.COMMENT {
			lines = comments
		}
		for i := range max(1, strings.Count(lit, "\n")+1) {
			lines[file.Line(pos)+i] = true
		}
	}
}
