package provision

import "time"

// An Event reports a change of one step. See Provisioner.Observe.
type Event struct {
	Time     time.Time     // by Provisioner.Now
	Step     Step          // never empty
	Status   Status        // what the step has come to
	Attempt  int           // 1 for the first attempt
	Elapsed  time.Duration // how long this attempt took; 0 if Status is Started
	Wait     time.Duration // the pause before the next attempt; 0 unless Status is Retrying
	Err      error         // why the attempt ended; nil unless Status is Retrying, Failed or Stopped
	Warnings []string      // what should be looked at although it did not fail the step; may be nil
}

// A Status says what a step has come to.
type Status string

// The statuses of a step. Every attempt begins with Started and ends with one
// of the others.
const (
	Started  Status = "started"
	Done     Status = "done"
	Resumed  Status = "resumed"  // an earlier run had done it, and its results are still good
	Retrying Status = "retrying" // failed, and will be tried again after Event.Wait
	Failed   Status = "failed"
	Stopped  Status = "stopped" // interrupted because another step failed
)
