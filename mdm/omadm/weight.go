package omadm

import (
	"net/url"
	"unicode/utf8"
)

// nodeBytes is what each node counts besides its name and value. It is at least
// what JSON takes around them: the names of the fields, quotes and punctuation.
const nodeBytes = 48

// A weight is what nodes take of the limits of a tree.
type weight struct {
	nodes int
	bytes int
}

func (w weight) plus(v weight) weight { return weight{w.nodes + v.nodes, w.bytes + v.bytes} }

func (w weight) minus(v weight) weight { return weight{w.nodes - v.nodes, w.bytes - v.bytes} }

// weightOf returns the weight of one node: of a leaf with a value, or of an
// interior node if v is nil. JSON takes at most twice its bytes.
func weightOf(names []string, v *Value) weight {
	w := weight{nodes: 1, bytes: nodeBytes + len(".")}
	for _, name := range names {
		w.bytes += len("/") + len(url.PathEscape(name))
	}
	if v != nil {
		w.bytes += textBytes(v.Data) + textBytes(v.Type) + textBytes(v.Format)
	}
	return w
}

// textBytes returns what a text counts: its bytes, and two more for each byte
// that JSON writes in six, because it is a control character or not UTF-8.
func textBytes(s string) int {
	n := len(s)
	for i := 0; i < len(s); {
		r, size := utf8.DecodeRuneInString(s[i:])
		if r < ' ' || r == utf8.RuneError && size == 1 {
			n += 2
		}
		i += size
	}
	return n
}
