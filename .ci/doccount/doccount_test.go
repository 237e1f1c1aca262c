package main

import (
	"bytes"
	"go/ast"
	"go/parser"
	"go/token"
	"strings"
	"testing"
)

func TestNamesErrors(t *testing.T) {
	for text, want := range map[string]bool{
		"":                                      false,
		"Get gets it.":                          false,
		"Close closes.":                         false,
		"Get gets it. It returns an error.":     false,
		"Get gets it, or returns an error.":     false,
		"Log writes the error.":                 false,
		"Get gets it. The error is a [*Error].": true,
		"Get gets it. It returns [ErrGone] if there is none.":                                true,
		"Get gets it. At the end it returns io.EOF.":                                         true,
		"Get gets it. Its error is the one of ctx.":                                          true,
		"Get gets it. It returns an error if\nthere is none.":                                true,
		"Get gets it. If there is none, it returns an error.":                                true,
		"MarshalText implements [encoding.TextMarshaler]. The error is\nalways nil.":         true,
		"MarshalText implements [encoding.TextMarshaler]. Its second result is always\nnil.": true,
		"Get gets it. It can fail with an *x509.HostnameError.":                              true,
		"Get gets it, errors included.":                                                      false,
		"Erratum of ErrandBoy":                                                               false,
	} {
		if got := namesErrors(text); got != want {
			t.Errorf("namesErrors(%q) = %v", text, got)
		}
	}
}

func TestSentences(t *testing.T) {
	for text, want := range map[string]int{
		"":                    0,
		"Get gets it":         1,
		"Get gets it.\n":      1,
		"Get gets it. And so": 2,
		"Get gets a part, e.g. A. It never (ever.) Stops at 1.5 m. \"Why?\" Because.": 5,
		"Get gets:\n  - one\n  - two\n":                                               1,
		"Get gets it.\n\nIt is good.":                                                 2,
		"See RFC 8894 section 3.2.1.2.":                                               1,
	} {
		if got := sentences(text); len(got) != want {
			t.Errorf("sentences(%q) = %d: %q", text, len(got), got)
		}
	}
}

const source = `// Package x is counted. In two sentences.
package x

import "iter"

//go:generate true

// A and B are letters. There are more.
const (
	A = 1
	B = 2 // B is the second. It follows A.
	c = 3
)

var D = 4

// T is a type.
type T struct {
	Field, Other int // a comment beside code
	hidden       int
	*T2
}

type T2 int

// I is an interface.
type I interface {
	// Do does it. The error is of type *Error.
	Do() error
	Undone() error
	hidden() error
}

type base struct{}

// Get is promoted.
func (base) Get() (int, error) { return 0, nil }

// U has a method of base.
type U struct{ base }

/*
New makes one. It returns an error if there is none.
*/
func New() (*T, error) { return nil, nil }

// All runs.
func All() iter.Seq2[int, error] { return nil }

// Unwrap returns the cause.
func (t *T) Unwrap() error { return nil }

// Take takes an error.
func Take(error) {}

func unexported() error { return nil }
`

func TestCount(t *testing.T) {
	f := &folder{Name: "x", Fset: token.NewFileSet(), Text: [][]byte{[]byte(source)}}
	a, err := parser.ParseFile(f.Fset, "x.go", source, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	f.Files = []*ast.File{a}
	got, err := count(f)
	if err != nil {
		t.Fatal(err)
	}
	missing := strings.Join(got.missing, "\n")
	want := row{
		Package: "x",
		Entries: 9, // A and B, D, T, T2, I, U, New, All, Take
		Names:   10, Methods: 4, Fields: 3,
		Bare: 3, // D, T2, I.Undone
		Long: 4, // A, B, I.Do, New
		// I.Do, I.Undone, U.Get, New, All
		Failing: 5, Unnamed: 3,
		Comment: 100 * 13 / (13 + 27),
	}
	if got.row != want {
		t.Errorf("got  %+v\nwant %+v", got.row, want)
	}
	const lines = `x.go:15: D: no doc comment
x.go:24: T2: no doc comment
x.go:30: I.Undone: does not name its errors
x.go:30: I.Undone: no doc comment
x.go:37: U.Get: does not name its errors
x.go:48: All: does not name its errors`
	if missing != lines {
		t.Errorf("missing:\n%s", missing)
	}
}

func TestCompare(t *testing.T) {
	old := table{
		{Package: "a", Entries: 39, Names: 50, Methods: 50, Long: 50, Failing: 9, Unnamed: 2, Comment: 30},
		{Package: "a/atest", Entries: 41},
	}
	var text bytes.Buffer
	if err := old.print(&text); err != nil {
		t.Fatal(err)
	}
	was, err := parse(text.String())
	if err != nil || len(was) != 2 || *was[0] != *old[0] || !was[1].Double {
		t.Fatalf("%v, %+v", err, was)
	}
	for name, c := range map[string]struct {
		row
		want string
	}{
		"same":      {*old[0], ""},
		"better":    {row{Package: "a", Entries: 40, Names: 50, Methods: 50, Long: 51, Comment: 31}, ""},
		"a little":  {row{Package: "a", Names: 50, Methods: 50, Long: 45, Comment: 25}, ""},
		"many":      {row{Package: "a", Entries: 41, Names: 10, Long: 10, Comment: 30}, "a: 41 entries"},
		"many kept": {row{Package: "a/atest", Entries: 41}, ""},
		"bare":      {row{Package: "a", Names: 10, Long: 10, Comment: 30, Bare: 1}, "a: 1 names have no doc comment"},
		"unnamed":   {row{Package: "a", Names: 10, Long: 10, Comment: 30, Unnamed: 3}, "a: 3 functions do not name"},
		"short":     {row{Package: "a", Names: 50, Methods: 50, Long: 44, Comment: 30}, "a: 44 %"},
		"terse":     {row{Package: "a", Names: 10, Long: 10, Comment: 24}, "a: 24 %"},
		"new":       {row{Package: "b", Names: 10}, ""},
		"new, bad":  {row{Package: "b", Names: 10, Unnamed: 1}, "b: 1 functions do not name"},
	} {
		t.Run(name, func(t *testing.T) {
			got := compare(was, table{&c.row})
			if c.want == "" && got != nil || c.want != "" && (len(got) != 1 || !strings.HasPrefix(got[0].Error(), c.want)) {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

func TestDouble(t *testing.T) {
	for name, want := range map[string]bool{
		".": false, "attest": false, "attest/attesttest": true, "mdm/esp/esptest": true, "attest/mdmtest": false, "latest": false,
	} {
		if double(name) != want {
			t.Errorf("double(%q) = %v", name, !want)
		}
	}
}
