package trace

import (
	"crypto/sha256"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/whiteglove/whiteglove/diagnose"
	"github.com/whiteglove/whiteglove/provision"
)

// A Trace writes down what a run says to its servers and to its TPM, and when.
// It sees the run through two seams only: [Trace.HTTP] and [Trace.TPM]. Its
// zero value is ready to use, by several goroutines.
//
// What may be secret is never kept: of every message only its length and
// SHA-256 stay, but for capabilities and for the words with which a server
// refuses. Of a URL's query only what names an operation is kept.
type Trace struct {
	mu      sync.Mutex
	start   time.Time
	steps   []traceStep
	entries []traceEntry
	lost    int // entries over maxEntries
}

// maxEntries bounds what a Trace keeps.
const maxEntries = 20000

// A traceStep is one try of a step.
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
	Kind       string // "HTTP" or "TPM"
	Step       int    // in Trace.steps; -1 before the first
	Begin, End time.Time
	Name       string // "GET https://…" or "TPM2_Create"
	Why        string // what it is for, in plain words; may be empty
	Result     string // "200", "TPM_RC_HANDLE", …
	Failed     bool
	Sent, Got  message
	HTTP       *httpDetail // nil for a TPM command
}

// A message is what is kept of one.
type message struct {
	Bytes  int
	SHA256 string // hexadecimal; "" if there were no bytes
	Type   string // content type
	Text   string // only if it holds no secret
}

func newMessage(b []byte, contentType string) message {
	m := message{Bytes: len(b), Type: contentType}
	if len(b) > 0 {
		m.SHA256 = fmt.Sprintf("%x", sha256.Sum256(b))
	}
	return m
}

// String returns "[12 bytes, sha256 0123456789ab…]".
func (m message) String() string {
	if m.Bytes == 0 {
		return "[nothing]"
	}
	return fmt.Sprintf("[%d bytes, sha256 %.12s…]", m.Bytes, m.SHA256)
}

// Observe keeps a change of a step. It is meant for, or to be called by,
// Provisioner.Observe.
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

// last returns the last try of a step, or the last step that began if step is
// "", or -1. The caller locks.
func (t *Trace) last(step provision.Step) int {
	for i := len(t.steps) - 1; i >= 0; i-- {
		if step == "" || t.steps[i].Step == step {
			return i
		}
	}
	return -1
}

// begin remembers the first moment of the trace. The caller locks.
func (t *Trace) begin(at time.Time) {
	if t.start.IsZero() {
		t.start = at
	}
}

// add keeps an entry of a step; if that is "", of the one that began last.
func (t *Trace) add(step provision.Step, e traceEntry) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.begin(e.Begin)
	if len(t.entries) == maxEntries {
		t.lost++
		return
	}
	e.Step = t.last(step)
	t.entries = append(t.entries, e)
}

// A traceView is a trace at one moment, for those who write it out.
type traceView struct {
	Start   time.Time
	Steps   []traceStep
	Entries []traceEntry
	Lost    int
}

// view returns a copy of what is kept.
func (t *Trace) view() traceView {
	t.mu.Lock()
	defer t.mu.Unlock()
	v := traceView{Start: t.start, Lost: t.lost, Steps: slices.Clone(t.steps), Entries: slices.Clone(t.entries)}
	slices.SortStableFunc(v.Entries, func(a, b traceEntry) int { return a.Begin.Compare(b.Begin) })
	return v
}

// of returns the entries of a step, or those before the first for -1.
func (v traceView) of(step int) []traceEntry {
	var out []traceEntry
	for _, e := range v.Entries {
		if e.Step == step {
			out = append(out, e)
		}
	}
	return out
}
