package main

import (
	"fmt"
	"time"
)

// show shows how far the fleet is, in a line that clear can remove.
func (f *fleet) show() {
	if f.progress == nil {
		return
	}
	f.clear()
	fmt.Fprint(f.progress, f.record.line(f.devices, time.Now()))
}

// clear removes the line of show from the terminal.
func (f *fleet) clear() {
	if f.progress != nil {
		fmt.Fprint(f.progress, "\r\x1b[K")
	}
}

// line returns the progress in a line of text.
func (r *record) line(devices int, now time.Time) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	ended := r.done + r.failed
	text := fmt.Sprintf("%d of %d devices, %d running", ended, devices, r.running)
	if r.failed > 0 {
		text += fmt.Sprintf(", %d failed", r.failed)
	}
	elapsed := now.Sub(r.start)
	if ended == 0 || elapsed <= 0 {
		return text
	}
	rate := float64(ended) / elapsed.Seconds()
	left := time.Duration(float64(devices-ended) / rate * float64(time.Second))
	return text + fmt.Sprintf(", %.1f a second, %v left", rate, left.Round(time.Second))
}
