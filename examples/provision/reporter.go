package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/whiteglove/whiteglove/diagnose"
	"github.com/whiteglove/whiteglove/examples/internal/command"
	"github.com/whiteglove/whiteglove/mdm/esp"
	"github.com/whiteglove/whiteglove/provision"
)

// what says what each step does.
var what = map[provision.Step]string{
	provision.StepProfile:  "hardware hash compared, profile known",
	provision.StepEK:       "endorsement key and its certificate",
	provision.StepAIK:      "attestation key certified",
	provision.StepDiscover: "tenant's services found",
	provision.StepToken:    "endorsement key proven to the tenant",
	provision.StepKeys:     "device and transport keys made",
	provision.StepJoin:     "joined to the tenant",
	provision.StepEnroll:   "enrolled in management",
	provision.StepSession:  "set up by management",
	provision.StepSeal:     "left the tenant, still managed",
	provision.StepRejoin:   "joined again, for the user",
	provision.StepSignIn:   "user signed in",
}

// A stepReport says how a step ended and what it cost.
type stepReport struct {
	Step         provision.Step   `json:"step"`
	Status       provision.Status `json:"status"`
	Milliseconds float64          `json:"ms"`
	TPMCommands  int64            `json:"tpmCommands"`
	HTTPRequests int64            `json:"httpRequests"`
	Warnings     []string         `json:"warnings,omitempty"`
}

// A reporter prints a run's progress, and keeps what each step cost.
type reporter struct {
	out      io.Writer
	json     bool // print one JSON event a line
	terminal bool // show the running steps, and overwrite them when one ends
	counts   *counts

	steps   []stepReport
	running []provision.Step
	shown   string // the status page's line that was printed last
}

// newReporter returns a reporter that prints to out.
func newReporter(out io.Writer, json bool) *reporter {
	return &reporter{out: out, json: json, terminal: !json && command.IsTerminal(out), counts: new(counts)}
}

// observe is the Provisioner's Observe: it prints an event.
func (r *reporter) observe(ev provision.Event) {
	sum := r.counts.of(ev.Step)
	rep := stepReport{
		Step: ev.Step, Status: ev.Status,
		Milliseconds: float64(ev.Elapsed.Microseconds()) / 1000,
		TPMCommands:  sum.tpmCommands, HTTPRequests: sum.httpRequests, Warnings: ev.Warnings,
	}
	if ev.Status != provision.Started && ev.Status != provision.Retrying {
		r.steps = append(r.steps, rep)
	}
	if r.json {
		r.printJSON(ev, rep)
		return
	}
	r.clear()
	r.running = slices.DeleteFunc(r.running, func(s provision.Step) bool { return s == ev.Step })
	if ev.Status == provision.Started {
		r.running = append(r.running, ev.Step)
	} else {
		r.printLine(ev, rep)
	}
	r.showRunning()
}

// clear removes the line of running steps from a terminal.
func (r *reporter) clear() {
	if r.terminal {
		fmt.Fprint(r.out, "\r\x1b[K")
	}
}

// showRunning shows the running steps on a terminal, in a line that clear can
// remove.
func (r *reporter) showRunning() {
	if !r.terminal || len(r.running) == 0 {
		return
	}
	words := make([]string, len(r.running))
	for i, s := range r.running {
		words[i] = string(s)
	}
	fmt.Fprintf(r.out, "…        %s", strings.Join(words, ", "))
}

// printJSON prints an event as a line of JSON.
func (r *reporter) printJSON(ev provision.Event, rep stepReport) {
	line := struct {
		Time time.Time `json:"time"`
		stepReport
		Error string `json:"error,omitempty"`
	}{Time: ev.Time, stepReport: rep}
	if ev.Err != nil {
		line.Error = command.Brief(ev.Err)
	}
	command.WriteJSONLine(r.out, line)
}

// printResult prints the last line of JSON: what the run reached, and what failed.
func (r *reporter) printResult(s *provision.State, err error) {
	type failure struct {
		Text      string `json:"text"`
		Step      string `json:"step,omitempty"`
		Code      string `json:"code,omitempty"` // HRESULT in hexadecimal
		Retryable bool   `json:"retryable"`
		Remedy    string `json:"remedy,omitempty"`
	}
	var line struct {
		Result struct {
			DeviceID string   `json:"deviceId"`
			TenantID string   `json:"tenantId"`
			Reached  string   `json:"reached"`
			Error    *failure `json:"error,omitempty"`
		} `json:"result"`
	}
	if s != nil {
		line.Result.DeviceID, line.Result.TenantID, line.Result.Reached = s.DeviceID, s.TenantID, reached(s)
	}
	if err != nil {
		d := diagnose.Explain(err)
		line.Result.Error = &failure{Text: err.Error(), Step: d.Step, Retryable: d.Retryable, Remedy: command.Remedy(d.Remedy)}
		if d.HRESULT != 0 {
			line.Result.Error.Code = fmt.Sprintf("0x%08X", d.HRESULT)
		}
	}
	command.WriteJSONLine(r.out, line)
}

// printLine prints an event as a line of text, with its warnings below.
func (r *reporter) printLine(ev provision.Event, rep stepReport) {
	fmt.Fprintf(r.out, "%-8s %-9s %-38s %8.1f ms  %2d TPM commands  %2d requests\n",
		ev.Status, ev.Step, what[ev.Step], rep.Milliseconds, rep.TPMCommands, rep.HTTPRequests)
	if ev.Status == provision.Retrying {
		fmt.Fprintf(r.out, "         %s; again in %v\n", command.Brief(ev.Err), ev.Wait.Round(100*time.Millisecond))
	}
	for _, w := range ev.Warnings {
		fmt.Fprintf(r.out, "         warning: %s\n", w)
	}
}

// progress is the Provisioner's Setup.Progress: it prints the state of the status
// page when that changes.
func (r *reporter) progress(page *esp.Report) {
	done, total := page.Progress()
	text := fmt.Sprintf("         status page: %s, %d of %d done", page.State, done, total)
	if r.json || text == r.shown {
		return
	}
	r.shown = text
	r.clear()
	fmt.Fprintln(r.out, text)
	r.showRunning()
}

// printTotal prints what the run achieved, and what it cost.
func (r *reporter) printTotal(s *provision.State, elapsed time.Duration) {
	sum := r.counts.sum()
	device := "the device"
	if s.DeviceID != "" {
		device = "device " + s.DeviceID + " of tenant " + s.TenantID
	}
	fmt.Fprintf(r.out, "%s is %s: %v, %d TPM commands, %d requests\n", device, reached(s),
		elapsed.Round(time.Millisecond), sum.tpmCommands, sum.httpRequests)
}

// reached says in a few words how far a device has got.
func reached(s *provision.State) string {
	switch {
	case s.User != nil && len(s.User.DeviceCertificate) > 0:
		return s.User.Name + "'s"
	case !s.Sealed.IsZero():
		from, until := s.Window()
		return fmt.Sprintf("sealed, to be handed over from %s to %s", from.Format(time.DateTime), until.Format(time.DateOnly))
	case len(s.ManagementCertificates) > 0:
		return "enrolled"
	case len(s.DeviceCertificate) > 0:
		return "joined"
	}
	return "not joined"
}
