package evidence

import (
	"slices"
	"sync"
)

// words finds whether a text has any of many words, in one pass (the method of Aho
// and Corasick).
type words struct {
	next  [][256]int32
	found []bool
	names map[string]bool // of values
}

// searched has the texts and the names of values that rules look for.
var searched = sync.OnceValue(func() *words {
	w := &words{names: map[string]bool{}}
	w.node()
	for _, r := range rules() {
		for _, alternative := range r.alternatives {
			for _, a := range alternative.atoms {
				for _, s := range slices.Concat(a.says...) {
					w.insert(s)
				}
				if a.name != "" {
					w.names[a.name] = true
				}
			}
		}
	}
	w.link()
	return w
})

func (w *words) node() int32 {
	w.next = append(w.next, [256]int32{})
	w.found = append(w.found, false)
	return int32(len(w.next) - 1)
}

func (w *words) insert(s string) {
	at := int32(0)
	for i := range len(s) {
		if w.next[at][s[i]] == 0 {
			n := w.node()
			w.next[at][s[i]] = n
		}
		at = w.next[at][s[i]]
	}
	w.found[at] = true
}

// link completes the automaton: each state gets a successor for each byte.
func (w *words) link() {
	fail := make([]int32, len(w.next))
	var queue []int32
	for _, n := range w.next[0] {
		if n != 0 {
			queue = append(queue, n)
		}
	}
	for len(queue) > 0 {
		at := queue[0]
		queue = queue[1:]
		w.found[at] = w.found[at] || w.found[fail[at]]
		for b, n := range w.next[at] {
			if n == 0 {
				w.next[at][b] = w.next[fail[at]][b]
				continue
			}
			fail[n] = w.next[fail[at]][b]
			queue = append(queue, n)
		}
	}
}

// match reports whether s, in lower case, has any of the words.
func (w *words) match(s string) bool {
	at := int32(0)
	for i := range len(s) {
		if at = w.next[at][s[i]]; w.found[at] {
			return true
		}
	}
	return false
}

// named reports whether a rule looks for a value of this name.
func (w *words) named(name string) bool { return name != "" && w.names[normal(name)] }
