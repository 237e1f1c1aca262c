package evidence

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
)

// A Finding is what failed, by a rule that holds.
type Finding struct {
	// ID is that of the rule.
	ID string `json:"id"`

	// Title says what is wrong in a whole sentence.
	Title string `json:"title"`

	// Phase is the line of the setup page in which it happened, or "" before and
	// after it. Step is the place in the flow.
	Phase string `json:"phase,omitempty"`
	Step  string `json:"step"`

	// Confidence is "certain", "likely" or "possible".
	Confidence string `json:"confidence"`

	// First tells that nothing else that was found explains this finding.
	First bool `json:"first"`

	// Because has the IDs of findings that explain this one, and Causes of those
	// that this one explains.
	Because []string `json:"because,omitempty"`
	Causes  []string `json:"causes,omitempty"`

	// Evidence is what the finding rests on, at most ten items.
	Evidence []Item `json:"evidence"`

	// Sought is what would also speak for or against the finding and is not in the
	// evidence, in the words of rules.txt.
	Sought []string `json:"sought,omitempty"`

	// Collect is what to collect next, "" if the finding is certain or nothing
	// would help.
	Collect string `json:"collect,omitempty"`

	// Remedy is what a technician can do, in whole sentences.
	Remedy string `json:"remedy"`

	// Source says how the rule is known; see Rule.Source.
	Source string `json:"source"`
}

// String returns f on one line.
func (f Finding) String() string {
	s := fmt.Sprintf("%s [%s; %s]", f.Title, f.ID, f.Confidence)
	if len(f.Because) > 0 {
		s += " It follows from " + strings.Join(f.Because, ", ") + "."
	}
	if len(f.Evidence) > 0 {
		s += fmt.Sprintf(" Evidence: %s: %s.", f.Evidence[0].Ref, f.Evidence[0].Text)
	}
	return s + " " + f.Remedy
}

// An Item is a piece of evidence.
type Item struct {
	Ref
	Time time.Time `json:"time,omitzero"` // zero if the evidence does not tell
	Text string    `json:"text"`          // a quotation of at most 300 bytes
}

const (
	maxItems  = 10
	maxSought = 8
)

// judge returns the findings for facts in order of time.
func judge(facts []fact) []Finding {
	found := []Finding{}
	for i := range rules() {
		if f, ok := rules()[i].apply(facts); ok {
			found = append(found, f)
		}
	}
	relate(found)
	slices.SortStableFunc(found, func(a, b Finding) int {
		return cmp.Or(
			cmp.Compare(b2i(b.First), b2i(a.First)),
			cmp.Compare(min(1, 3-confidenceRank(a.Confidence)), min(1, 3-confidenceRank(b.Confidence))),
			cmp.Compare(stepOrder(a.Step), stepOrder(b.Step)),
		)
	})
	return found
}

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}

// relate sets which findings explain which. Of those that explain each other, the
// earlier step comes first.
func relate(found []Finding) {
	for i := range found {
		for _, id := range ruleOf(found[i].ID).Causes {
			for j := range found {
				if found[j].ID == id && i != j {
					found[i].Causes = append(found[i].Causes, id)
					found[j].Because = append(found[j].Because, found[i].ID)
				}
			}
		}
	}
	for i := range found {
		found[i].First = len(found[i].Because) == 0
	}
}

func ruleOf(id string) *Rule {
	for i := range rules() {
		if rules()[i].ID == id {
			return &rules()[i]
		}
	}
	return &Rule{}
}

// apply returns the finding of a rule, if it holds.
func (r *Rule) apply(facts []fact) (f Finding, ok bool) {
	f = Finding{ID: r.ID, Title: r.Title, Step: r.Step, Phase: phaseOf(r.Step), Remedy: r.Remedy, Source: r.Source}
	seen := map[Ref]bool{}
	for _, a := range r.alternatives {
		items, absent, holds := a.apply(facts)
		for _, s := range absent {
			if len(f.Sought) < maxSought && !slices.Contains(f.Sought, s) {
				f.Sought = append(f.Sought, s)
			}
		}
		if !holds || r.passed(&a, facts) {
			continue
		}
		ok = true
		if confidenceRank(a.confidence) > confidenceRank(f.Confidence) {
			f.Confidence = a.confidence
		}
		for _, x := range items {
			if !seen[x.ref] && len(f.Evidence) < maxItems {
				seen[x.ref] = true
				f.Evidence = append(f.Evidence, Item{x.ref, x.time, x.quote()})
			}
		}
	}
	if f.Confidence != confidenceCertain {
		f.Collect = r.Collect
	}
	return f, ok
}

// passed reports whether all that meets an alternative has a time, and an event that
// shows that the trouble passed comes after it.
func (r *Rule) passed(a *alternative, facts []fact) bool {
	if r.cured == nil {
		return false
	}
	for i := len(facts) - 1; i >= 0; i-- {
		f := &facts[i]
		if r.cured.match(f) {
			return !f.time.IsZero() && a.before(facts[:i])
		}
		if slices.ContainsFunc(a.atoms, func(x atom) bool { return !x.no && x.match(f) }) {
			return false
		}
	}
	return false
}

// before reports whether none of what meets a lacks a time.
func (a *alternative) before(facts []fact) bool {
	for i := range facts {
		if facts[i].time.IsZero() && slices.ContainsFunc(a.atoms, func(x atom) bool { return !x.no && x.match(&facts[i]) }) {
			return false
		}
	}
	return true
}

// quote returns the text of a fact, with the event's name.
func (f *fact) quote() string {
	if f.event != "" {
		return strings.TrimSpace("event " + f.event + " " + f.text)
	}
	return f.text
}

// apply returns the facts that meet an alternative, and which of its conditions are
// not in the evidence.
func (a *alternative) apply(facts []fact) (items []*fact, absent []string, holds bool) {
	holds = true
	start := -1 // index of the fact that met the first atom
	for i := range a.atoms {
		x := &a.atoms[i]
		from := 0
		if x.after && start >= 0 {
			from = start + 1
		}
		at := -1
		for j := from; j < len(facts); j++ {
			if x.match(&facts[j]) && !(x.after && start >= 0 && facts[j].time.IsZero()) {
				at = j
				if i > 0 || len(a.atoms) == 1 || !a.waits() {
					break // else the last one counts, after which something is sought
				}
			}
		}
		switch {
		case at < 0:
			absent = append(absent, x.String())
			holds = holds && x.no
		case x.no:
			holds = false
		default:
			items = append(items, &facts[at])
		}
		if i == 0 {
			start = at
		}
	}
	return items, absent, holds
}

// waits reports whether an atom is about the time after the first.
func (a *alternative) waits() bool {
	return slices.ContainsFunc(a.atoms, func(x atom) bool { return x.after })
}
