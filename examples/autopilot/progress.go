package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/whiteglove/whiteglove/autopilot"
	"github.com/whiteglove/whiteglove/autopilot/graph"
	"github.com/whiteglove/whiteglove/examples/internal/command"
	"github.com/whiteglove/whiteglove/internal/wire"
)

// maxLive is how many devices fit on a terminal, so that their lines can be written
// again.
const maxLive = 20

// A progress shows how far devices are: a line for each event, unless live.
type progress struct {
	w     io.Writer
	json  bool // the lines are JSON objects
	live  bool // a terminal: each device has a line that changes
	lines []string
	drawn bool
	err   error
}

func newProgress(w io.Writer, json, terminal bool, rows []autopilot.Row) *progress {
	p := &progress{w: w, json: json, live: terminal && !json && len(rows) <= maxLive}
	for i, r := range rows {
		p.lines = append(p.lines, fmt.Sprintf("%3d %-20s waiting", i+1, r.Serial))
	}
	return p
}

// A line is an event as a JSON object.
type line struct {
	Time   time.Time   `json:"time,omitzero"`
	Device int         `json:"device,omitempty"` // from 1; 0 for all
	Serial string      `json:"serial,omitempty"`
	Stage  graph.Stage `json:"stage,omitempty"`
	Next   graph.Stage `json:"next,omitempty"` // the stage that was not reached yet, and is tried again after Wait
	Status string      `json:"status,omitempty"`
	Wait   string      `json:"wait,omitempty"`
	ZTDID  string      `json:"ztdId,omitempty"`
	Error  string      `json:"error,omitempty"`
}

// observe is called at each event. That the run was ended is no failure of a device.
func (p *progress) observe(e graph.Event) {
	if ended(e.Err) {
		return
	}
	if p.json {
		l := line{Time: e.Time, Device: e.Row + 1, Serial: e.Serial, Stage: e.Stage, Status: e.Status}
		if e.Wait > 0 {
			l.Wait, l.Stage, l.Next = e.Wait.String(), "", e.Stage
		}
		if e.Err != nil {
			l.Error = command.Explain(e.Err)
		}
		p.fail(command.WriteJSONLine(p.w, l))
		return
	}
	text := describe(e)
	if !p.live {
		if e.Row >= 0 {
			text = fmt.Sprintf("%3d %-20.20s %s", e.Row+1, e.Serial, text)
		}
		p.fail(p.println(text))
		return
	}
	for i := range p.lines {
		if e.Row == i || e.Row < 0 {
			p.lines[i] = fmt.Sprintf("%s %s", p.lines[i][:24], text)
			if e.Serial != "" {
				p.lines[i] = fmt.Sprintf("%3d %-20.20s %s", i+1, e.Serial, text)
			}
		}
	}
	p.draw()
}

// ended reports whether err is that the run was ended, by somebody or by the time limit.
func ended(err error) bool {
	return errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
}

// describe returns an event in words.
func describe(e graph.Event) string {
	switch {
	case e.Wait > 0:
		return fmt.Sprintf("not %s yet: %s; again in %v", e.Stage, command.Brief(e.Err), e.Wait.Round(time.Second))
	case e.Err != nil:
		return fmt.Sprintf("%s: %s", e.Stage, command.Brief(e.Err))
	}
	return strings.TrimSpace(fmt.Sprintf("%s %s", e.Stage, e.Status))
}

// println writes a line. What a service says cannot control a terminal.
func (p *progress) println(text string) error {
	_, err := fmt.Fprintln(p.w, wire.Visible(strings.ToValidUTF8(text, "")))
	return err
}

// draw writes the lines, over those that were written before.
func (p *progress) draw() {
	var b strings.Builder
	if p.drawn {
		fmt.Fprintf(&b, "\x1b[%dA", len(p.lines)) // up
	}
	for _, l := range p.lines {
		fmt.Fprintf(&b, "\r\x1b[K%s\n", wire.Visible(strings.ToValidUTF8(l[:min(len(l), 120)], "")))
	}
	p.drawn = true
	_, err := io.WriteString(p.w, b.String())
	p.fail(err)
}

// fail keeps the first error.
func (p *progress) fail(err error) {
	if p.err == nil {
		p.err = err
	}
}

// print prints the results, if they are not on the terminal already.
func (p *progress) print(results []graph.Result) error {
	if p.live {
		return p.err
	}
	for i, r := range results {
		if ended(r.Err) {
			continue
		}
		if !p.json {
			if r.Device != nil {
				p.fail(p.println(fmt.Sprintf("%3d %-20.20s is the device %s", i+1, r.Device.Serial, r.Device.ID)))
			}
			continue
		}
		l := line{Device: i + 1, Serial: r.Row.Serial, Stage: r.Stage}
		if r.Device != nil {
			l.ZTDID, l.Serial = r.Device.ID, r.Device.Serial
		}
		if r.Err != nil {
			l.Error = command.Explain(r.Err)
		}
		p.fail(command.WriteJSONLine(p.w, l))
	}
	return p.err
}
