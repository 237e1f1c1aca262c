package provision

import (
	"encoding/json"
	"time"
)

// An Event reports a change of one step. See Provisioner.Observe.
type Event struct {
	// Time is when the change took place, by Provisioner.Now.
	Time time.Time

	// Step is the step that changed, and Status what it has come to.
	Step   Step
	Status Status

	// Attempt counts the attempts at the step from 1.
	Attempt int

	// Elapsed is how long the attempt took. It is 0 if Status is Started.
	Elapsed time.Duration

	// Wait is the pause before the next attempt. It is 0 unless Status is
	// Retrying.
	Wait time.Duration

	// Err is why the attempt ended. It is nil unless Status is Retrying, Failed
	// or Stopped.
	Err error

	// Warnings tell what should be looked at although it did not make the step
	// fail. The slice may be nil.
	Warnings []string
}

// MarshalJSON returns an object with the members time (RFC 3339), step, status,
// attempt, elapsed and wait (seconds), error (its text) and warnings. Those that are
// zero are left out, except the first four. The error is always nil.
func (ev Event) MarshalJSON() ([]byte, error) {
	text := ""
	if ev.Err != nil {
		text = ev.Err.Error()
	}
	return json.Marshal(struct {
		Time     time.Time `json:"time"`
		Step     Step      `json:"step"`
		Status   Status    `json:"status"`
		Attempt  int       `json:"attempt"`
		Elapsed  float64   `json:"elapsed,omitempty"`
		Wait     float64   `json:"wait,omitempty"`
		Error    string    `json:"error,omitempty"`
		Warnings []string  `json:"warnings,omitempty"`
	}{ev.Time, ev.Step, ev.Status, ev.Attempt, ev.Elapsed.Seconds(), ev.Wait.Seconds(), text, ev.Warnings})
}

// A Status says what a step has come to.
type Status string

// The statuses of a step. Every attempt begins with Started and ends with one
// of the others. If the run ends during the pause after Retrying, Failed or Stopped
// follows, for the same attempt.
const (
	Started  Status = "started"
	Done     Status = "done"
	Resumed  Status = "resumed"  // an earlier run had done it, and its results are still good
	Retrying Status = "retrying" // failed, and will be tried again after Event.Wait
	Failed   Status = "failed"
	Stopped  Status = "stopped" // interrupted because another step failed, or the caller canceled the run
)
