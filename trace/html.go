package trace

import (
	_ "embed" // for page.html
	"fmt"
	"html/template"
	"io"
	"sync"
	"time"

	"github.com/whiteglove/whiteglove/provision"
)

//go:embed page.html
var reportPage string

// report returns the page of WriteHTML. It is parsed when it is first used, so
// that programs that write no report do not pay for it.
var report = sync.OnceValue(func() *template.Template {
	return template.Must(template.New("report").Parse(reportPage))
})

// WriteHTML writes the trace as one HTML page in UTF-8 that loads nothing from
// elsewhere: each step with its requests and commands as bars on a time line, what
// they are for, and where and why the run failed. The error is that of w.
func (t *Trace) WriteHTML(w io.Writer) error {
	v := t.view()
	p := reportData{Subject: v.Subject, Lost: v.Lost, Captured: v.Capture != nil, Others: v.others()}
	p.Title, p.Start = v.title()
	begin, end := v.span()
	scale := timeScale{begin, max(end.Sub(begin), time.Millisecond)}
	p.Total, p.Ticks = show(end.Sub(begin)), scale.ticks()
	if early := v.of(-1); len(early) > 0 {
		p.Steps = append(p.Steps, reportStep{Name: "before", Status: "done", Bars: scale.bars(early)})
	}
	for i, s := range v.Steps {
		p.Steps = append(p.Steps, scale.step(s, v.of(i)))
		if s.Status == provision.Failed && !(p.Captured && p.Failed) { // of a capture, the first step counts
			p.Failed, p.Error, p.Remedy = true, s.Err, s.Remedy
		}
	}
	for _, e := range v.Entries {
		if e.Kind == "TPM" {
			p.TPM++
		} else {
			p.HTTP++
		}
	}
	return report().Execute(w, p)
}

// A reportData is what the page shows.
type reportData struct {
	Title, Subject, Start, Total, Others, Error, Remedy string
	Failed, Captured                                    bool
	TPM, HTTP, Lost                                     int
	Ticks                                               []reportTick
	Steps                                               []reportStep
}

// A reportTick is a mark on the axis of time.
type reportTick struct{ Left, Text string }

// A reportStep is one attempt at a step.
type reportStep struct {
	Name, Status, At, Took, Error string
	Warnings                      []string
	Left, Width                   string // percent
	Bars                          []reportBar
}

// A reportBar is a request or a command.
type reportBar struct {
	Kind, Name, Why, Result, Took, Sizes, Text string
	Failed                                     bool
	Left, Width                                string // percent
}

// span returns the first and the last moment of a trace.
func (v traceView) span() (begin, end time.Time) {
	begin, end = v.Start, v.Start
	for _, s := range v.Steps {
		end = later(end, s.End)
	}
	for _, e := range v.Entries {
		end = later(end, e.End)
	}
	return begin, end
}

// later returns the later of two moments.
func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// A timeScale maps moments to places on the page.
type timeScale struct {
	begin time.Time
	whole time.Duration
}

// percent returns d as a part of the whole, from 0 to 100.
func (s timeScale) percent(d time.Duration) string {
	return fmt.Sprintf("%.3f", min(100, max(0, 100*float64(d)/float64(s.whole))))
}

// ticks returns the marks of the axis: at most ten, at distances of 1, 2, 5, 10 and
// so on.
func (s timeScale) ticks() []reportTick {
	distance := time.Millisecond
	for i := 0; s.whole > 10*distance; i++ {
		if i%3 == 1 {
			distance = distance * 5 / 2
		} else {
			distance *= 2
		}
	}
	var ticks []reportTick
	for d := time.Duration(0); d < s.whole*15/16; d += distance { // the last one needs room for its text
		ticks = append(ticks, reportTick{s.percent(d), d.String()})
	}
	return ticks
}

// step returns an attempt at a step with its entries.
func (s timeScale) step(t traceStep, entries []traceEntry) reportStep {
	if t.Status == missing {
		return reportStep{Name: string(t.Step), Status: string(missing), Warnings: t.Warnings}
	}
	return reportStep{
		Name: string(t.Step) + attempt(t.Attempt), Status: string(t.Status), At: show(t.Begin.Sub(s.begin)), Took: show(t.End.Sub(t.Begin)), Error: t.Err, Warnings: t.Warnings,
		Left: s.percent(t.Begin.Sub(s.begin)), Width: s.percent(t.End.Sub(t.Begin)), Bars: s.bars(entries),
	}
}

// bars returns entries in their places.
func (s timeScale) bars(entries []traceEntry) []reportBar {
	var out []reportBar
	for _, e := range entries {
		out = append(out, reportBar{
			Kind: e.Kind, Name: e.Name, Why: e.Why, Result: e.Result, Failed: e.Failed, Took: show(e.End.Sub(e.Begin)),
			Sizes: e.sizes(), Text: e.Got.Text,
			Left: s.percent(e.Begin.Sub(s.begin)), Width: s.percent(e.End.Sub(e.Begin)),
		})
	}
	return out
}

// show returns a duration, rounded for reading.
func show(d time.Duration) string {
	switch {
	case d >= time.Second:
		return d.Round(10 * time.Millisecond).String()
	case d >= time.Millisecond:
		return d.Round(100 * time.Microsecond).String()
	}
	return d.Round(time.Microsecond).String()
}
