package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"go/types"
	"slices"
	"strings"
	"testing"
)

const source = `package sample

const Limit = 3

const hidden = 4

var ErrGone error

type Alias = []Key

type Key struct {
	Name string
	*Inner
	secret []byte
}

type Inner map[string]int

type Store interface {
	Take(id string) (*Key, error)
	own()
}

func Open(path string, more ...int) (*Key, error) { return nil, nil }

func (k *Key) Sign(digest []byte) []byte { return nil }

func (k Key) wipe() {}
`

// TestExported lists a small package.
func TestExported(t *testing.T) {
	want := `const Limit untyped int = 3
field Key embeds *Inner
field Key.Name string
func Open(path string, more ...int) (*Key, error)
method (*Key) Sign(digest []byte) []byte
method (Store) Take(id string) (*Key, error)
method (Store) has unexported methods
type Alias = []Key
type Inner map[string]int
type Key struct
type Store interface
var ErrGone error`
	fset := token.NewFileSet()
	file, err := parser.ParseFile(fset, "sample.go", source, 0)
	if err != nil {
		t.Fatal(err)
	}
	pkg, err := new(types.Config).Check("sample", fset, []*ast.File{file}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(exported(pkg), "\n"); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// TestCompare shows a line that is gone, and one that is new.
func TestCompare(t *testing.T) {
	got := compare([]string{"a", "b"}, []string{"b", "c"})
	if !slices.Equal(got, []string{"- a", "+ c"}) {
		t.Errorf("got %q", got)
	}
	if got := compare([]string{"a"}, []string{"a"}); got != nil {
		t.Errorf("got %q", got)
	}
}

// TestPublic leaves out what others cannot or should not import.
func TestPublic(t *testing.T) {
	for name, want := range map[string]bool{"": true, "drs": true, "drs/drstest": true, "internal/cms": false, "mdm/internal/fixture": false, "examples/join": false} {
		if public(name) != want {
			t.Errorf("%q: %v", name, !want)
		}
	}
}
