package main

import (
	"context"
	"io"
	"sync"
	"time"

	"github.com/whiteglove/whiteglove/examples/internal/services"
	"github.com/whiteglove/whiteglove/internal/cputime"
)

// A fleet is a run of many devices.
type fleet struct {
	*options
	services *services.Services
	progress io.Writer // a terminal for a live line, or nil

	record record
	next   chan struct{} // has a value for each device that has not begun
}

// run takes all devices and returns the result.
func (f *fleet) run(ctx context.Context) *result {
	f.record.steps = make(map[string]*timings)
	f.record.failures = make(map[string]*failure)
	f.next = make(chan struct{}, f.devices)
	for range f.devices {
		f.next <- struct{}{}
	}
	close(f.next)
	u := startUsage()
	f.record.start = u.start
	stop := f.watch(u)
	var all sync.WaitGroup
	workers := min(f.concurrency, f.devices)
	for i := range workers {
		pause := f.ramp * time.Duration(i) / time.Duration(workers)
		all.Go(func() { f.work(ctx, pause) })
	}
	all.Wait()
	elapsed, cpu := time.Since(u.start), cputime.Process()-u.cpu
	stop()
	u.sample(&f.record)
	return f.result(elapsed, cpu, u)
}

// work takes one device after the other, after a pause.
func (f *fleet) work(ctx context.Context, pause time.Duration) {
	select {
	case <-time.After(pause):
	case <-ctx.Done():
	}
	for range f.next {
		if ctx.Err() != nil {
			return
		}
		f.record.begin()
		start := time.Now()
		err := f.device(ctx)
		if err != nil && ctx.Err() != nil {
			f.record.abandon()
			return
		}
		f.record.end(time.Since(start), err)
	}
}

// watch samples the use of resources and shows the progress until the function that it
// returns is called.
func (f *fleet) watch(u *usage) (stop func()) {
	quit, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		tick := time.NewTicker(interval)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				u.tick(&f.record)
				f.show()
			case <-quit:
				f.clear()
				return
			}
		}
	}()
	return func() {
		close(quit)
		<-done
	}
}

// interval is the time between two samples.
const interval = 250 * time.Millisecond
