package main

import (
	"cmp"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/whiteglove/whiteglove/diagnose"
	"github.com/whiteglove/whiteglove/examples/internal/command"
	"github.com/whiteglove/whiteglove/provision"
)

// A record is what has happened to the devices so far.
type record struct {
	mu       sync.Mutex
	start    time.Time
	running  int
	done     int
	failed   int
	order    []string // steps as they were first seen
	steps    map[string]*timings
	devices  timings
	failures map[string]*failure
	last     error // why an attempt was last to be tried again
}

// A timings has the times that a step, or a whole device, took, and how often it was tried
// again.
type timings struct {
	took    []time.Duration
	retries int
}

// A failure is a cause for which devices failed.
type failure struct {
	Cause   string `json:"cause"` // step and code
	Devices int    `json:"devices"`
	Example string `json:"example"` // what the error of the first one says, without the remedy
	Remedy  string `json:"remedy,omitempty"`

	err error // the error of the first one
}

func (r *record) begin() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.running++
}

// abandon counts a device out that was interrupted.
func (r *record) abandon() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.running--
}

// end records how a device ended.
func (r *record) end(took time.Duration, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.running--
	if err == nil {
		r.done++
		r.devices.took = append(r.devices.took, took)
		return
	}
	r.failed++
	d := diagnose.Explain(err)
	name := cause(d)
	if r.failures[name] == nil {
		r.failures[name] = &failure{Cause: name, Example: command.Brief(err), Remedy: command.Remedy(d.Remedy), err: err}
	}
	r.failures[name].Devices++
}

// cause names what devices that fail alike have in common: the step, and the most exact code
// there is.
func cause(d diagnose.Diagnosis) string {
	code := cmp.Or(d.Protocol, d.Symbol)
	switch {
	case code == "" && d.HTTPStatus != 0:
		code = fmt.Sprintf("HTTP status %d", d.HTTPStatus)
	case code == "" && d.HRESULT != 0:
		code = fmt.Sprintf("0x%08X", d.HRESULT)
	}
	return cmp.Or(d.Step, "before the run") + ": " + cmp.Or(code, d.Op, "unknown")
}

// observe is the Observe of every device.
func (r *record) observe(ev provision.Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	name := string(ev.Step)
	t := r.steps[name]
	if t == nil {
		t = new(timings)
		r.steps[name] = t
		r.order = append(r.order, name)
	}
	switch ev.Status {
	case provision.Done:
		t.took = append(t.took, ev.Elapsed)
	case provision.Retrying:
		t.retries++
		r.last = command.At(name, ev.Err)
	}
}

// quantile returns the time below which a share of the times is. The times are sorted.
func quantile(sorted []time.Duration, share float64) time.Duration {
	if len(sorted) == 0 {
		return 0
	}
	i := int(share*float64(len(sorted))+0.999999) - 1
	return sorted[min(max(i, 0), len(sorted)-1)]
}

// sorted returns the times, shortest first.
func (t *timings) sorted() []time.Duration {
	s := slices.Clone(t.took)
	slices.Sort(s)
	return s
}
