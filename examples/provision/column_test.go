package main

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/whiteglove/whiteglove/provision"
)

// Every status fits its column, so that the names of the steps are below each other.
func TestColumns(t *testing.T) {
	var out bytes.Buffer
	r := newReporter(&out, false)
	for _, status := range []provision.Status{provision.Done, provision.Resumed, provision.Retrying, provision.Failed, provision.Stopped} {
		r.observe(provision.Event{Step: provision.StepDiscover, Status: status, Err: errors.New("busy"), Wait: time.Second})
	}
	for line := range strings.Lines(out.String()) {
		if at := strings.Index(line, string(provision.StepDiscover)); at >= 0 && at != len("retrying ") {
			t.Errorf("the step is in column %d: %s", at, line)
		}
	}
}
