package evidence

import (
	_ "embed"
	"fmt"
	"strconv"
	"strings"
	"sync"
)

//go:embed rules.txt
var rulesText string

// A Rule is something that can be found out. The table is rules.txt in this package.
type Rule struct {
	ID      string `json:"id"`
	Title   string `json:"title"`  // what is wrong, a whole sentence
	Step    string `json:"step"`   // where in the flow, such as "ek", "aik", "join" or "setup"
	Remedy  string `json:"remedy"` // what a technician can do, in whole sentences
	Collect string `json:"collect,omitempty"`

	// Causes are the IDs of findings that follow from this one.
	Causes []string `json:"causes,omitempty"`

	// When are the alternatives by which the rule holds, as in the table.
	When []string `json:"when"`

	// Cured is what shows that the trouble passed, as in the table, or "".
	Cured string `json:"cured,omitempty"`

	// Source says how the rule is known: D documented, C observed in code or
	// manifests, I inferred, X community reports; and where.
	Source string `json:"source"`

	alternatives []alternative
	cured        *atom
}

// An alternative is a way for a rule to hold: all its atoms do.
type alternative struct {
	confidence string
	atoms      []atom
}

// Rules returns what can be found, in the order of the table. The caller owns the
// slice, but not what the rules refer to.
func Rules() []Rule { return append([]Rule(nil), rules()...) }

var rules = sync.OnceValue(func() []Rule {
	list, err := parseRules(rulesText)
	if err != nil {
		panic(err) // the table is part of the program, and a test reads it
	}
	return list
})

// parseRules reads a table.
func parseRules(text string) (list []Rule, err error) {
	sets := map[string][]uint32{}
	for n, line := range strings.Split(text, "\n") {
		word, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
		rest = strings.TrimSpace(rest)
		switch {
		case word == "" || word[0] == '#':
			continue
		case word == "codes":
			name, codes, _ := strings.Cut(rest, " ")
			if sets["@"+name], err = parseCodes(codes, nil); err != nil {
				return nil, fmt.Errorf("line %d: %w", n+1, err)
			}
			continue
		case word == "rule":
			list = append(list, Rule{ID: rest})
			continue
		}
		if len(list) == 0 {
			return nil, fmt.Errorf("line %d: no rule", n+1)
		}
		if err := list[len(list)-1].set(word, rest, sets); err != nil {
			return nil, fmt.Errorf("line %d: %w", n+1, err)
		}
	}
	return list, nil
}

// set takes a line of a rule.
func (r *Rule) set(word, rest string, sets map[string][]uint32) error {
	switch word {
	case "title":
		r.Title = rest
	case "step":
		r.Step = rest
	case "remedy":
		r.Remedy = rest
	case "collect":
		r.Collect = rest
	case "source":
		r.Source = rest
	case "causes":
		r.Causes = strings.Fields(rest)
	case "cured":
		a, err := parseAtom(rest, sets)
		if err != nil {
			return err
		}
		r.Cured, r.cured = rest, &a
	case "when":
		a, err := parseAlternative(rest, sets)
		if err != nil {
			return err
		}
		r.When = append(r.When, rest)
		r.alternatives = append(r.alternatives, a)
	default:
		return fmt.Errorf("unknown word %q", word)
	}
	return nil
}

func parseAlternative(text string, sets map[string][]uint32) (a alternative, err error) {
	confidence, rest, ok := strings.Cut(text, ":")
	if !ok || confidenceRank(confidence) == 0 {
		return a, fmt.Errorf("no confidence in %q", text)
	}
	a.confidence = confidence
	for part := range splitOutside(rest, ';') {
		one, err := parseAtom(strings.TrimSpace(part), sets)
		if err != nil {
			return a, err
		}
		a.atoms = append(a.atoms, one)
	}
	return a, nil
}

// splitOutside yields the parts of s between separators that are not in quotes.
func splitOutside(s string, separator byte) func(func(string) bool) {
	return func(yield func(string) bool) {
		quoted, start := false, 0
		for i := 0; i < len(s); i++ {
			switch {
			case s[i] == '"':
				quoted = !quoted
			case s[i] == separator && !quoted:
				if !yield(s[start:i]) {
					return
				}
				start = i + 1
			}
		}
		yield(s[start:])
	}
}

func parseCodes(text string, sets map[string][]uint32) (codes []uint32, err error) {
	if set, ok := sets[text]; ok {
		return set, nil
	}
	for _, s := range strings.Split(text, ",") {
		n, err := strconv.ParseUint(s, 0, 32)
		if err != nil {
			return nil, err
		}
		codes = append(codes, uint32(n))
	}
	return codes, nil
}

// Values of Finding.Confidence.
const (
	confidenceCertain  = "certain"
	confidenceLikely   = "likely"
	confidencePossible = "possible"
)

// confidenceRank returns 3 to 1, or 0 for another word.
func confidenceRank(s string) int {
	switch s {
	case confidenceCertain:
		return 3
	case confidenceLikely:
		return 2
	case confidencePossible:
		return 1
	}
	return 0
}
