package main

import (
	"slices"
	"strings"
	"testing"
)

// Before main, a client that can run every step makes few allocations besides those of
// an HTTPS request. The numbers depend on the compiler, hence the room; one regular
// expression at package level would take more than is left.
func TestStart(t *testing.T) {
	base, err := weigh(empty)
	if err != nil {
		t.Fatal(err)
	}
	p, err := load(module + "/provision")
	if err != nil {
		t.Fatal(err)
	}
	w, err := weigh(p.program())
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%.2f MB, %d allocations, %d of this module", mb(w.size), w.allocs-base.allocs, w.own)
	if more := w.allocs - base.allocs; more > 350 {
		t.Errorf("%d allocations before main, want at most 350", more)
	}
	if w.own > 120 {
		t.Errorf("%d allocations before main by packages of this module, want at most 120", w.own)
	}
}

// Clients have no regular expressions and no templates in them. Package trace, which
// writes pages, has.
func TestDependencies(t *testing.T) {
	heavy := []string{"regexp", "html/template", "text/template"}
	paths, err := libraries()
	if err != nil {
		t.Fatal(err)
	}
	seen := 0
	for _, path := range paths {
		name := strings.TrimPrefix(path, module+"/")
		if name == "trace" || strings.HasPrefix(name, "diagnose") {
			continue // for people, not for devices
		}
		p, err := load(path)
		if err != nil {
			t.Fatal(err)
		}
		seen++
		for _, dep := range p.Deps {
			if slices.Contains(heavy, dep) {
				t.Errorf("%s needs %s", name, dep)
			}
		}
	}
	if seen < 10 {
		t.Errorf("%d packages were looked at", seen)
	}
}

// The program reaches functions and methods.
func TestProgram(t *testing.T) {
	p, err := load(module + "/provision")
	if err != nil {
		t.Fatal(err)
	}
	text := p.program()
	for _, want := range []string{"\tp.Technician,\n", "\t(*p.Provisioner).Run,\n"} {
		if !strings.Contains(text, want) {
			t.Errorf("the program has no %q", want)
		}
	}
}
