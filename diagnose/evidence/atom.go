package evidence

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// An atom is a condition on the evidence; rules.txt tells its forms.
type atom struct {
	text  string // as in the table
	no    bool
	after bool

	provider string // with events
	events   []string
	codes    []uint32
	says     [][]string // one of each, in lower case
	name     string     // of a value, normalized
	op       string
	want     string
	key      string // a part of a registry key, in lower case
}

func parseAtom(text string, sets map[string][]uint32) (a atom, err error) {
	a.text = text
	words := slices.Collect(splitOutside(text, ' '))
	words = slices.DeleteFunc(words, func(s string) bool { return s == "" })
	if len(words) > 0 && words[0] == "no" {
		a.no, words = true, words[1:]
	}
	if n := len(words); n > 0 && words[n-1] == "after" {
		a.after, words = true, words[:n-1]
	}
	for len(words) > 0 {
		n := 2
		switch word := words[0]; {
		case len(words) < 2:
			return a, fmt.Errorf("%q ends too early", text)
		case word == "event" && len(words) >= 3:
			n = 3
			a.provider = words[1]
			for _, id := range strings.Split(words[2], ",") {
				a.events = append(a.events, words[1]+" "+id)
			}
		case word == "code":
			if a.codes, err = parseCodes(words[1], sets); err != nil {
				return a, err
			}
		case word == "says":
			a.says = append(a.says, strings.Split(strings.Trim(words[1], `"`), "|"))
		case word == "key":
			a.key = strings.Trim(words[1], `"`)
		case word == "value" && len(words) >= 4:
			n = len(words)
			a.name, a.op, a.want = normal(words[1]), words[2], strings.Join(words[3:], " ")
		default:
			return a, fmt.Errorf("%q is no condition", text)
		}
		words = words[n:]
	}
	return a, nil
}

// normal returns the name of a value without case, spaces and hyphens.
func normal(name string) string {
	return strings.ToLower(strings.Map(func(r rune) rune {
		if r == ' ' || r == '-' || r == '_' {
			return -1
		}
		return r
	}, name))
}

// match reports whether a fact meets the condition, without regard to no and after.
func (a *atom) match(f *fact) bool {
	switch {
	case a.events != nil && !slices.Contains(a.events, f.event) && (a.events[0] != a.provider+" *" || !strings.HasPrefix(f.event, a.provider+" ")),
		a.codes != nil && !slices.ContainsFunc(f.codes, func(c uint32) bool { return slices.Contains(a.codes, c) }),
		!a.said(f.lower),
		a.key != "" && (f.key == "" || !strings.Contains(strings.ToLower(f.key), a.key)):
		return false
	}
	return a.name == "" || f.name != "" && normal(f.name) == a.name && a.compare(f.value)
}

// said reports whether text has one of each.
func (a *atom) said(text string) bool {
	for _, any := range a.says {
		if !slices.ContainsFunc(any, func(s string) bool { return strings.Contains(text, s) }) {
			return false
		}
	}
	return true
}

// compare compares a value.
func (a *atom) compare(value string) bool {
	value = strings.TrimSpace(value)
	switch a.op {
	case "=":
		return strings.EqualFold(value, a.want)
	case "!=":
		return !strings.EqualFold(value, a.want)
	case "has":
		bits, err := strconv.ParseUint(a.want, 0, 64)
		word, _, _ := strings.Cut(value, " ")
		n, err2 := strconv.ParseUint(word, 0, 64)
		return err == nil && err2 == nil && n&bits == bits
	}
	return false
}

// String says what was looked for.
func (a *atom) String() string {
	return strings.TrimSuffix(strings.TrimPrefix(a.text, "no "), " after")
}
