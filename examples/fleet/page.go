package main

import (
	"bytes"
	_ "embed" // for page.html
	"fmt"
	"slices"
	"strings"
	"text/template"
	"time"
)

//go:embed page.html
var pageText string

// page returns the result as one HTML page that loads nothing from elsewhere. The page itself
// escapes what servers say: it has no more than a few texts.
func (r *result) page() ([]byte, error) {
	t, err := template.New("fleet").Parse(pageText)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	err = t.Execute(&b, map[string]any{
		"Start": r.started.Format(time.DateTime), "Facts": r.facts(), "Failed": r.Failed, "Failures": r.Failures,
		"Steps": r.bars(), "Plots": r.plots(),
	})
	return b.Bytes(), err
}

// A bar shows the times of a step.
type bar struct {
	stepResult
	W50, W95, W99 string // percent
}

// bars returns the bars of all steps, on one scale.
func (r *result) bars() []bar {
	longest := 0.001
	for _, s := range r.rows() {
		longest = max(longest, s.P99)
	}
	width := func(ms float64) string { return fmt.Sprintf("%.2f", 100*ms/longest) }
	var all []bar
	for _, s := range r.rows() {
		all = append(all, bar{s, width(s.P50), width(s.P95), width(s.P99)})
	}
	return all
}

// A plot has curves over the time of the run, on one scale.
type plot struct {
	Title, Top, End string // what is at the top and at the right end
	Curves          []curve
}

// A curve is the points of a polyline in a field of width by height.
type curve struct{ Name, Color, Points string }

const width, height = 600.0, 120.0

// plots returns the plots of the samples.
func (r *result) plots() []plot {
	if len(r.Samples) < 2 {
		return nil
	}
	done := func(s sample) float64 { return float64(s.Done) }
	failed := func(s sample) float64 { return float64(s.Failed) }
	running := func(s sample) float64 { return float64(s.Running) }
	heap := func(s sample) float64 { return float64(s.LiveHeap) / 1e6 }
	seconds := func(from, to sample) (float64, float64) {
		return float64(ended(to) - ended(from)), to.Seconds - from.Seconds
	}
	devices := func(from, to sample) (float64, float64) {
		return 1000 * (to.CPU - from.CPU), float64(ended(to) - ended(from))
	}
	goroutines := func(s sample) float64 { return float64(s.Goroutines) }
	return []plot{
		r.plot("devices", "%.0f", series{"done", "good", done}, series{"failed", "bad", failed}),
		r.plot("devices a second", "%.1f", series{"rate", "tpm", r.over(seconds)}),
		r.plot("processor time a device", "%.0f ms", series{"processor", "http", r.over(devices)}),
		r.plot("live heap", "%.1f MB", series{"heap", "http", heap}),
		r.plot("goroutines and running devices", "%.0f", series{"goroutines", "tpm", goroutines}, series{"running", "http", running}),
	}
}

// ended returns how many devices have ended.
func ended(s sample) int { return s.Done + s.Failed }

// over returns a quotient over the last part of the run at a sample: a 30th of it, or ten
// samples if that is more.
func (r *result) over(of func(from, to sample) (dividend, divisor float64)) func(sample) float64 {
	back := max(10, len(r.Samples)/30)
	at := make(map[float64]float64, len(r.Samples))
	for i, s := range r.Samples {
		from := sample{}
		if i >= back {
			from = r.Samples[i-back]
		}
		if a, b := of(from, s); b > 0 {
			at[s.Seconds] = a / b
		}
	}
	return func(s sample) float64 { return at[s.Seconds] }
}

// A series is what a curve shows.
type series struct {
	name, color string
	of          func(sample) float64
}

// plot returns a plot of some series on one scale from 0.
func (r *result) plot(title, format string, all ...series) plot {
	end, top := r.Samples[len(r.Samples)-1].Seconds, 0.0
	for _, c := range all {
		for _, s := range r.Samples {
			top = max(top, c.of(s))
		}
	}
	p := plot{Title: title, Top: fmt.Sprintf(format, top), End: fmt.Sprintf("%.1f s", end)}
	for _, c := range all {
		p.Curves = append(p.Curves, curve{c.name, c.color, points(r.Samples, c.of, end, top)})
	}
	return p
}

// points returns the points of a polyline, with no more than one sample for each unit of
// width.
func points(samples []sample, of func(sample) float64, end, top float64) string {
	var b strings.Builder
	step := max(1, len(samples)/int(width))
	for part := range slices.Chunk(samples, step) {
		s := part[len(part)-1]
		fmt.Fprintf(&b, "%.1f,%.1f ", width*s.Seconds/max(end, 0.001), height-height*of(s)/max(top, 1e-9))
	}
	return strings.TrimSpace(b.String())
}
