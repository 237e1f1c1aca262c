package trace

import (
	"crypto/sha256"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/whiteglove/whiteglove/diagnose"
	"github.com/whiteglove/whiteglove/internal/traffic"
	"github.com/whiteglove/whiteglove/provision"
)

// A Trace records what a run says to its servers and to its TPM, and when. The
// zero value is an empty trace, ready to use. It is safe for concurrent use, and
// must not be copied after its first use.
//
// A Trace keeps at most 20,000 requests and commands; what it writes says how many
// came after them.
type Trace struct {
	mu      sync.Mutex
	subject string
	start   time.Time
	steps   []traceStep
	entries []traceEntry
	lost    int // number of entries that came after the first maxEntries

	capture *traffic.Capture // that was annotated, nil for a run
}

// maxEntries is how many entries a Trace keeps.
const maxEntries = 20000

// A traceStep is one attempt at a step.
type traceStep struct {
	Step       provision.Step
	Status     provision.Status // provision.Started while it runs
	Attempt    int
	Begin, End time.Time
	Err        string
	Remedy     string
	Warnings   []string
}

// A traceEntry is an HTTP exchange or a TPM command.
type traceEntry struct {
	Kind       string         // "HTTP" or "TPM"
	Step       int            // index in Trace.steps; -1 before the first step
	early      provision.Step // the step that it is for, if that had not begun
	Begin, End time.Time
	Name       string // "GET https://…" or "TPM2_Create"
	Why        string // what it is for, in words; may be empty
	Result     string // "200", "TPM_RC_HANDLE", …
	Failed     bool
	Sent, Got  message
	HTTP       *httpDetail // nil for a TPM command
}

// A message is what a trace keeps of a message.
type message struct {
	Bytes  int    // -1 if a capture does not tell
	SHA256 string // hexadecimal; "" if there were no bytes, and in a capture
	Type   string // content type
	Text   string // its text, if that cannot hold a secret, else ""
}

// newMessage returns what is kept of b.
func newMessage(b []byte, contentType string) message {
	m := message{Bytes: len(b), Type: contentType}
	if len(b) > 0 {
		m.SHA256 = fmt.Sprintf("%x", sha256.Sum256(b))
	}
	return m
}

// String returns what stands for a message, such as
// "[12 bytes, sha256 0123456789ab…]".
func (m message) String() string {
	switch {
	case m.Bytes < 0:
		return "[unknown]"
	case m.Bytes == 0:
		return "[nothing]"
	case m.SHA256 == "":
		return fmt.Sprintf("[%d bytes]", m.Bytes)
	}
	return fmt.Sprintf("[%d bytes, sha256 %.12s…]", m.Bytes, m.SHA256)
}

// sizes returns what was sent and got, or "" if neither is known.
func (e *traceEntry) sizes() string {
	if e.Sent.Bytes < 0 && e.Got.Bytes < 0 {
		return ""
	}
	return fmt.Sprintf("sent %s, got %s", e.Sent, e.Got)
}

// SetSubject says what the trace is about, such as "device" and its identifier. It
// stands in the heads of Markdown and HTML, and replaces what an earlier call said.
func (t *Trace) SetSubject(text string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.subject = text
}

// Observe records a change of a step. Set Provisioner.Observe to it, or to a
// function that calls it. Without it, the requests and commands of a run are not
// grouped by step.
func (t *Trace) Observe(ev provision.Event) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.begin(ev.Time)
	if ev.Status == provision.Started {
		t.steps = append(t.steps, traceStep{Step: ev.Step, Status: provision.Started, Attempt: ev.Attempt, Begin: ev.Time, End: ev.Time})
		return
	}
	i := t.last(ev.Step)
	if i < 0 {
		return
	}
	s := &t.steps[i]
	s.Status, s.End, s.Warnings = ev.Status, ev.Time, ev.Warnings
	if ev.Err != nil {
		s.Err, s.Remedy = ev.Err.Error(), diagnose.Explain(ev.Err).Remedy
	}
}

// last returns the index of the last attempt at a step, or of the step that began
// last if step is "". It returns -1 if there is none. The caller holds t.mu.
func (t *Trace) last(step provision.Step) int {
	for i := len(t.steps) - 1; i >= 0; i-- {
		if step == "" || t.steps[i].Step == step {
			return i
		}
	}
	return -1
}

// begin records the first moment of the trace. The caller holds t.mu.
func (t *Trace) begin(at time.Time) {
	if t.start.IsZero() {
		t.start = at
	}
}

// add records an entry of a step or, if step is "", of the step that began last. If the
// step has not begun, the entry is one of its first attempt.
func (t *Trace) add(step provision.Step, e traceEntry) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.begin(e.Begin)
	if len(t.entries) == maxEntries {
		t.lost++
		return
	}
	if e.Step = t.last(step); e.Step < 0 {
		e.early = step
	}
	t.entries = append(t.entries, e)
}

// A traceView is a copy of a trace, from which the reports are written.
type traceView struct {
	Subject string
	Start   time.Time
	Steps   []traceStep
	Entries []traceEntry
	Lost    int
	Capture *traffic.Capture // nil for a run
}

// view returns a copy of t with its entries in the order of their begin.
func (t *Trace) view() traceView {
	t.mu.Lock()
	defer t.mu.Unlock()
	v := traceView{Subject: t.subject, Start: t.start, Lost: t.lost, Capture: t.capture, Steps: slices.Clone(t.steps), Entries: slices.Clone(t.entries)}
	for i, e := range v.Entries {
		if e.early != "" {
			v.Entries[i].Step = slices.IndexFunc(v.Steps, func(s traceStep) bool { return s.Step == e.early })
		}
	}
	slices.SortStableFunc(v.Entries, func(a, b traceEntry) int { return a.Begin.Compare(b.Begin) })
	return v
}

// of returns the entries of the step with an index, or those before the first step
// if the index is -1.
func (v traceView) of(step int) []traceEntry {
	var out []traceEntry
	for _, e := range v.Entries {
		if e.Step == step {
			out = append(out, e)
		}
	}
	return out
}
