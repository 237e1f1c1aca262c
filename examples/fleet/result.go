package main

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"runtime"
	"slices"
	"text/tabwriter"
	"time"
)

// A result is what a run of a fleet has shown. Times are in milliseconds.
type result struct {
	Devices     int     `json:"devices"`
	Done        int     `json:"done"`
	Failed      int     `json:"failed"`
	Concurrency int     `json:"concurrency"`
	FastKeys    bool    `json:"fastKeys"`
	Mock        bool    `json:"mockInProcess"` // the figures have its share
	Processors  int     `json:"processors"`
	Seconds     float64 `json:"seconds"`
	Rate        float64 `json:"devicesPerSecond"`
	CPU         float64 `json:"cpuMsPerDevice"`     // 0 if the system does not tell
	Kept        float64 `json:"keptBytesPerDevice"` // what is still in use after the run
	Goroutines  struct {
		Before int `json:"before"`
		Peak   int `json:"peak"`
		After  int `json:"after"`
	} `json:"goroutines"`
	PeakHeap uint64       `json:"peakLiveHeapBytes"`
	Device   stepResult   `json:"device"`
	Steps    []stepResult `json:"steps"`
	Failures []*failure   `json:"failures,omitempty"` // most devices first
	Samples  []sample     `json:"samples"`

	started time.Time
	last    error // why an attempt was last to be tried again
}

// A stepResult is what a step, or a whole device, took.
type stepResult struct {
	Name    string  `json:"name"`
	Count   int     `json:"count"`
	Retries int     `json:"retries"`
	P50     float64 `json:"p50"`
	P95     float64 `json:"p95"`
	P99     float64 `json:"p99"`
	Max     float64 `json:"max"`
}

// result returns the result of a run.
func (f *fleet) result(elapsed, cpu time.Duration, u *usage) *result {
	after := u.after()
	rec := &f.record
	r := &result{
		Devices: f.devices, Done: rec.done, Failed: rec.failed, Concurrency: f.concurrency, FastKeys: f.fastKeys, Mock: f.server == "",
		Processors: runtime.GOMAXPROCS(0), Seconds: elapsed.Seconds(), PeakHeap: after.LiveHeap,
		Device: rec.devices.result("device"), Samples: u.samples, started: u.start, last: rec.last,
	}
	if ended := float64(rec.done + rec.failed); ended > 0 {
		r.Rate = ended / elapsed.Seconds()
		r.CPU = milliseconds(cpu) / ended
		r.Kept = (float64(after.LiveHeap) - float64(u.before.LiveHeap)) / ended
	}
	r.Goroutines.Before, r.Goroutines.After, r.Goroutines.Peak = u.before.Goroutines, after.Goroutines, after.Goroutines
	for _, s := range u.samples {
		r.Goroutines.Peak, r.PeakHeap = max(r.Goroutines.Peak, s.Goroutines), max(r.PeakHeap, s.LiveHeap)
	}
	for _, name := range rec.order {
		r.Steps = append(r.Steps, rec.steps[name].result(name))
	}
	r.Failures = slices.SortedFunc(maps.Values(rec.failures), func(a, b *failure) int {
		return cmp.Or(b.Devices-a.Devices, cmp.Compare(a.Cause, b.Cause))
	})
	return r
}

// result returns the quantiles of the times.
func (t *timings) result(name string) stepResult {
	s := t.sorted()
	return stepResult{
		Name: name, Count: len(s), Retries: t.retries,
		P50: milliseconds(quantile(s, 0.5)), P95: milliseconds(quantile(s, 0.95)), P99: milliseconds(quantile(s, 0.99)), Max: milliseconds(quantile(s, 1)),
	}
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// rows returns the steps, and the whole device last.
func (r *result) rows() []stepResult { return append(slices.Clone(r.Steps), r.Device) }

// print prints the result as text. The error is the one of w.
func (r *result) print(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "ms\tp50\tp95\tp99\tmax\tretries\t")
	for _, s := range r.rows() {
		fmt.Fprintf(t, "%s\t%.1f\t%.1f\t%.1f\t%.1f\t%d\t\n", s.Name, s.P50, s.P95, s.P99, s.Max, s.Retries)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	for _, f := range r.Failures {
		fmt.Fprintf(w, "%d failed at %s\n", f.Devices, f.Cause)
	}
	_, err := fmt.Fprintln(w, r.facts())
	return err
}

// facts returns the totals in a line.
func (r *result) facts() string {
	text := fmt.Sprintf("%d of %d devices done in %.1f s, %d at the same time: %.1f a second", r.Done, r.Devices, r.Seconds, r.Concurrency, r.Rate)
	if r.CPU > 0 {
		text += fmt.Sprintf(", %.1f ms of processor time a device", r.CPU)
	}
	share := ""
	if r.Mock {
		share = ", the mock server included"
	}
	return text + fmt.Sprintf(", %.1f kB kept a device, %d goroutines before and %d after%s", r.Kept/1000, r.Goroutines.Before, r.Goroutines.After, share)
}
