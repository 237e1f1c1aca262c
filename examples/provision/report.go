package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/whiteglove/whiteglove"
)

// what each step does, for people.
var what = map[whiteglove.Step]string{
	whiteglove.StepEK:       "endorsement key and its certificate",
	whiteglove.StepAIK:      "attestation key certified",
	whiteglove.StepDiscover: "tenant's services found",
	whiteglove.StepToken:    "endorsement key proven to the tenant",
	whiteglove.StepKeys:     "device and transport keys made",
	whiteglove.StepJoin:     "joined to the tenant",
	whiteglove.StepEnroll:   "enrolled in management",
	whiteglove.StepSeal:     "left the tenant, still managed",
}

// A stepReport is what a step cost.
type stepReport struct {
	Step         whiteglove.Step   `json:"step"`
	Status       whiteglove.Status `json:"status"`
	Milliseconds float64           `json:"ms"`
	TPMCommands  int64             `json:"tpmCommands"`
	HTTPRequests int64             `json:"httpRequests"`
}

// A reporter shows a run as it goes, and keeps what each step cost.
type reporter struct {
	out      io.Writer
	json     bool // one JSON event a line
	terminal bool // a running step is shown and then overwritten
	counts   *counts

	steps          []stepReport
	tpm0, request0 int64
}

// isTerminal reports whether f shows text to a person.
func isTerminal(f io.Writer) bool {
	file, ok := f.(*os.File)
	if !ok {
		return false
	}
	fi, err := file.Stat()
	return err == nil && fi.Mode()&os.ModeCharDevice != 0
}

// observe is a Provisioner's Observe.
func (r *reporter) observe(ev whiteglove.Event) {
	tpm, requests := r.counts.tpmCommands.Load(), r.counts.httpRequests.Load()
	if ev.Status == whiteglove.Started && ev.Attempt == 1 {
		r.tpm0, r.request0 = tpm, requests
	}
	rep := stepReport{
		Step: ev.Step, Status: ev.Status,
		Milliseconds: float64(ev.Elapsed.Microseconds()) / 1000,
		TPMCommands:  tpm - r.tpm0, HTTPRequests: requests - r.request0,
	}
	if ev.Status != whiteglove.Started && ev.Status != whiteglove.Retrying {
		r.steps = append(r.steps, rep)
	}
	switch {
	case r.json:
		r.printJSON(ev, rep)
	case ev.Status == whiteglove.Started && r.terminal:
		fmt.Fprintf(r.out, "…       %-9s %s", ev.Step, what[ev.Step])
	case ev.Status != whiteglove.Started:
		r.printLine(ev, rep)
	}
}

func (r *reporter) printJSON(ev whiteglove.Event, rep stepReport) {
	line := struct {
		Time time.Time `json:"time"`
		stepReport
		Error string `json:"error,omitempty"`
	}{Time: ev.Time, stepReport: rep}
	if ev.Err != nil {
		line.Error = ev.Err.Error()
	}
	json.NewEncoder(r.out).Encode(line)
}

func (r *reporter) printLine(ev whiteglove.Event, rep stepReport) {
	if r.terminal {
		fmt.Fprint(r.out, "\r\x1b[K")
	}
	fmt.Fprintf(r.out, "%-7s %-9s %-38s %8.1f ms  %2d TPM commands  %2d requests\n",
		ev.Status, ev.Step, what[ev.Step], rep.Milliseconds, rep.TPMCommands, rep.HTTPRequests)
	if ev.Status == whiteglove.Retrying {
		fmt.Fprintf(r.out, "        %v; again in %v\n", ev.Err, ev.Wait.Round(100*time.Millisecond))
	}
}

// printTotal prints what was won, and what it cost.
func (r *reporter) printTotal(s *whiteglove.State, elapsed time.Duration) {
	fmt.Fprintf(r.out, "device %s of tenant %s is enrolled: %v, %d TPM commands, %d requests\n", s.DeviceID, s.TenantID,
		elapsed.Round(time.Millisecond), r.counts.tpmCommands.Load(), r.counts.httpRequests.Load())
}
