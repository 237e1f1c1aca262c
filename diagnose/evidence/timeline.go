package evidence

import (
	"fmt"
	"time"

	"github.com/whiteglove/whiteglove/diagnose"
	"github.com/whiteglove/whiteglove/internal/traffic"
)

// An Entry is a line of the time line.
type Entry struct {
	// Time is in UTC. If Local is set, the evidence gives no zone, and it is the
	// device's local time.
	Time  time.Time `json:"time"`
	Local bool      `json:"local,omitempty"`

	// Phase is the line of the setup page, such as "Securing your hardware", or
	// "" for what belongs to none.
	Phase string `json:"phase,omitempty"`

	// Level is "error", "warning" or "information".
	Level string `json:"level"`

	// Event is the provider and number of an event, such as "MD 192", or "".
	Event string `json:"event,omitempty"`

	// Text is what the event means, or the line of a log.
	Text string `json:"text"`

	// Detail is what the event logged.
	Detail string `json:"detail,omitempty"`

	Ref
}

// String returns e on one line.
func (e Entry) String() string {
	s := e.Time.Format("2006-01-02 15:04:05.000")
	if e.Phase != "" {
		s += " " + e.Phase + ":"
	}
	if e.Event != "" {
		s += " " + e.Event
	}
	s += " " + e.Text
	if e.Detail != "" {
		s += " (" + e.Detail + ")"
	}
	return s
}

const maxTimeline = 20_000

// timeline returns the entries of facts in order of time: events that the table of
// package diagnose has, events that report trouble, and lines of logs with codes.
func timeline(facts []fact) []Entry {
	list := []Entry{}
	meanings := map[string]*diagnose.Meaning{}
	for i := range facts {
		f := &facts[i]
		if f.time.IsZero() || len(list) >= maxTimeline {
			continue
		}
		e := Entry{Time: f.time, Local: f.local, Level: levelName(f), Event: f.event, Text: f.text, Phase: phaseOf(f.step), Ref: f.ref}
		if f.event != "" {
			m, known := meanings[f.event]
			if !known {
				m = meaning(f.event)
				meanings[f.event] = m
			}
			switch {
			case m != nil:
				e.Text, e.Detail = m.Text, f.text
				e.Phase = phaseOfSteps(m.Steps)
			case f.event == eventStart:
				e.Text, e.Detail = "Windows starts", ""
			case f.level == 0 || f.level > 3:
				continue
			}
		}
		list = append(list, e)
	}
	return list
}

const eventStart = "KG 12"

// meaning returns what the table says of an event such as "MD 192", or nil.
func meaning(event string) *diagnose.Meaning {
	var provider string
	var id int
	if _, err := fmt.Sscan(event, &provider, &id); err != nil {
		return nil
	}
	for _, m := range diagnose.Decode(fmt.Sprintf("%s event %d", provider, id)) {
		if m.Name == fmt.Sprintf("%s event %d", provider, id) {
			return &m
		}
	}
	return nil
}

func levelName(f *fact) string {
	switch {
	case f.level == 1 || f.level == 2:
		return "error"
	case f.level == 3:
		return "warning"
	case f.event == "" && len(f.codes) > 0:
		return "warning"
	}
	return "information"
}

// Lines of the setup page. The join is under the third, not the second, which only
// applies packages again.
const (
	phaseSecuring    = traffic.PageSecuring
	phaseRegistering = traffic.PageRegistering
	phasePreparing   = traffic.PagePreparing
	phaseSetup       = traffic.PageSetup
	phaseAccount     = traffic.PageAccount
)

// steps are the places in the flow that a rule may have, in its order, with the line
// of the page.
var steps = []struct{ name, phase string }{
	{"network", ""},
	{"ticket", ""},
	{"profile", ""},
	{"tpm", phaseSecuring},
	{"ek", phaseSecuring},
	{"aik", phaseSecuring},
	{"attest", phaseSecuring},
	{"discover", phaseRegistering},
	{"token", phaseRegistering},
	{"keys", phaseRegistering},
	{"join", phaseRegistering},
	{"enroll", phaseRegistering},
	{"hybrid", phaseSetup},
	{"provider", phasePreparing},
	{"session", phaseSetup},
	{"setup", phaseSetup},
	{"seal", ""},
	{"rejoin", phaseAccount},
	{"signin", phaseAccount},
}

func stepOrder(step string) int {
	for i, s := range steps {
		if s.name == step {
			return i
		}
	}
	return len(steps)
}

func phaseOf(step string) string {
	if i := stepOrder(step); i < len(steps) {
		return steps[i].phase
	}
	return ""
}

// phaseOfSteps returns the phase of the first step that has one.
func phaseOfSteps(names []string) string {
	for _, s := range names {
		if p := phaseOf(s); p != "" {
			return p
		}
	}
	return ""
}
