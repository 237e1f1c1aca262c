package main

import (
	"runtime"
	"runtime/metrics"
	"time"

	"github.com/whiteglove/whiteglove/internal/cputime"
)

// A usage is what the process uses during a run.
type usage struct {
	start   time.Time
	cpu     time.Duration // before the run
	before  sample
	samples []sample
	every   int // ticks from one sample to the next
	ticks   int // since the last sample
}

// A sample is the state of a run at one moment.
type sample struct {
	Seconds    float64 `json:"seconds"`
	Done       int     `json:"done"`
	Failed     int     `json:"failed"`
	Running    int     `json:"running"`
	Goroutines int     `json:"goroutines"`
	LiveHeap   uint64  `json:"liveHeapBytes"` // what the last collection of garbage left
	CPU        float64 `json:"cpuSeconds"`    // processor time since the beginning
}

// startUsage returns the usage of a run that begins now.
func startUsage() *usage {
	runtime.GC()
	return &usage{start: time.Now(), cpu: cputime.Process(), before: read(), every: 1}
}

// read returns the goroutines and the live heap of the process.
func read() sample {
	all := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	metrics.Read(all)
	s := sample{Goroutines: runtime.NumGoroutine()}
	if all[0].Value.Kind() == metrics.KindUint64 {
		s.LiveHeap = all[0].Value.Uint64()
	}
	return s
}

// tick takes a sample if it is time for one.
func (u *usage) tick(r *record) {
	if u.ticks++; u.ticks >= u.every {
		u.ticks = 0
		u.sample(r)
	}
}

// sample takes a sample. When there are too many, every second one goes, and further ones
// are taken half as often.
func (u *usage) sample(r *record) {
	s := read()
	s.Seconds, s.CPU = time.Since(u.start).Seconds(), (cputime.Process() - u.cpu).Seconds()
	r.mu.Lock()
	s.Done, s.Failed, s.Running = r.done, r.failed, r.running
	r.mu.Unlock()
	u.samples = append(u.samples, s)
	if len(u.samples) < maxSamples {
		return
	}
	for i := range maxSamples / 2 {
		u.samples[i] = u.samples[2*i+1]
	}
	u.samples = u.samples[:maxSamples/2]
	u.every *= 2
}

// maxSamples bounds the samples that are kept. It is even.
const maxSamples = 1200

// after returns what is in use after a run. Connections that were closed need a moment to
// end on both sides.
func (u *usage) after() sample {
	for end := time.Now().Add(settle); runtime.NumGoroutine() > u.before.Goroutines && time.Now().Before(end); {
		time.Sleep(10 * time.Millisecond)
	}
	runtime.GC()
	return read()
}

// settle is how long after waits at most.
const settle = 2 * time.Second
