package main

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/whiteglove/whiteglove/diagnose"
)

func TestQuantile(t *testing.T) {
	var hundred []time.Duration
	for i := range 100 {
		hundred = append(hundred, time.Duration(i+1))
	}
	for _, c := range []struct {
		of    []time.Duration
		share float64
		want  time.Duration
	}{
		{nil, 0.5, 0},
		{hundred[:1], 0.99, 1},
		{hundred[:2], 0.5, 1},
		{hundred[:3], 0.5, 2},
		{hundred, 0, 1},
		{hundred, 0.5, 50},
		{hundred, 0.95, 95},
		{hundred, 0.99, 99},
		{hundred, 1, 100},
	} {
		if got := quantile(c.of, c.share); got != c.want {
			t.Errorf("%v of %d: %d, want %d", c.share, len(c.of), got, c.want)
		}
	}
}

// The cause has the most exact code that is known.
func TestCause(t *testing.T) {
	for want, d := range map[string]diagnose.Diagnosis{
		"join: DRS x/y":           {Step: "join", Protocol: "DRS x/y", Symbol: "s", HTTPStatus: 400},
		"join: s":                 {Step: "join", Symbol: "s", HRESULT: 1},
		"join: HTTP status 503":   {Step: "join", HTTPStatus: 503, HRESULT: 1},
		"aik: 0x80070001":         {Step: "aik", HRESULT: 0x80070001},
		"aik: GetCACaps":          {Step: "aik", Op: "GetCACaps"},
		"before the run: unknown": {},
	} {
		if got := cause(d); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

// Devices that fail alike are one cause, and the one with the most comes first.
func TestFailures(t *testing.T) {
	f := &fleet{options: &options{devices: 4}}
	f.record.failures = make(map[string]*failure)
	for range 4 {
		f.record.begin()
	}
	f.record.end(0, errors.New("first"))
	f.record.end(0, errors.New("second"))
	f.record.end(time.Second, nil)
	f.record.abandon()
	r := f.result(time.Second, 0, startUsage())
	if r.Done != 1 || r.Failed != 2 || f.record.running != 0 || len(r.Failures) != 1 || r.Failures[0].Devices != 2 || r.Failures[0].Example != "first" {
		t.Errorf("%+v, %+v", r, r.Failures)
	}
}

func TestLine(t *testing.T) {
	start := time.Unix(0, 0)
	r := &record{start: start, running: 3}
	if got := r.line(10, start.Add(time.Second)); got != "0 of 10 devices, 3 running" {
		t.Error(got)
	}
	r.done, r.failed = 4, 1
	if got := r.line(10, start.Add(10*time.Second)); got != "5 of 10 devices, 3 running, 1 failed, 0.5 a second, 10s left" {
		t.Error(got)
	}
}

// On a terminal the line is replaced, and gone in the end.
func TestProgress(t *testing.T) {
	var out bytes.Buffer
	f := &fleet{options: &options{devices: 2}, progress: &out}
	f.show()
	f.clear()
	if got := out.String(); got != "\r\x1b[K0 of 2 devices, 0 running\r\x1b[K" {
		t.Errorf("%q", got)
	}
}

// The samples of a long run are as far from each other at its end as at its beginning.
func TestSamples(t *testing.T) {
	u, r := startUsage(), new(record)
	for i := range 5 * maxSamples {
		r.done = i
		u.tick(r)
	}
	if len(u.samples) >= maxSamples || len(u.samples) < maxSamples/2 {
		t.Fatalf("%d samples", len(u.samples))
	}
	for i, s := range u.samples[1:] {
		if d := s.Done - u.samples[i].Done; d != u.every {
			t.Errorf("sample %d is %d ticks after the one before, not %d", i+1, d, u.every)
		}
	}
}

// A quotient is that of the last samples.
func TestOver(t *testing.T) {
	r := new(result)
	for i := range 41 { // one device a second, from the 20th second on two
		r.Samples = append(r.Samples, sample{Seconds: float64(i), Done: i + max(0, i-20)})
	}
	rate := r.over(func(from, to sample) (float64, float64) {
		return float64(ended(to) - ended(from)), to.Seconds - from.Seconds
	})
	for at, want := range map[int]float64{0: 0, 5: 1, 15: 1, 40: 2} {
		if got := rate(r.Samples[at]); got != want {
			t.Errorf("%v after %d s, want %v", got, at, want)
		}
	}
}

// The page shows what failed, escapes what servers say, and does without plots if it must.
func TestPage(t *testing.T) {
	r := &result{Devices: 1, Failed: 1, Failures: []*failure{{Cause: "join: <b>", Devices: 1, Example: "<script>", Remedy: "<i>&"}}}
	text, err := r.page()
	if err != nil || !strings.Contains(string(text), "&lt;script&gt;") || strings.Contains(string(text), "<script>") || strings.Contains(string(text), ": <b>") || strings.Contains(string(text), "<i>") || !strings.Contains(string(text), "too short") {
		t.Errorf("%v: %s", err, text)
	}
	if got := points([]sample{{Seconds: 0, Done: 0}, {Seconds: 2, Done: 4}}, func(s sample) float64 { return float64(s.Done) }, 2, 4); got != "0.0,120.0 600.0,0.0" {
		t.Error(got)
	}
}
