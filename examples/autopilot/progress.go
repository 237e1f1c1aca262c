package main

import (
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

// A progress shows how far devices are.
type progress struct {
	w     io.Writer
	live  bool // a terminal: each device has a line that changes
	lines []string
	drawn bool
	err   error
}

func newProgress(w io.Writer, live bool, rows []autopilot.Row) *progress {
	p := &progress{w: w, live: live && len(rows) <= maxLive}
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
	Stage  graph.Stage `json:"stage"`
	Status string      `json:"status,omitempty"`
	Wait   string      `json:"wait,omitempty"`
	ZTDID  string      `json:"ztdId,omitempty"`
	Error  string      `json:"error,omitempty"`
}

// observe is called at each event.
func (p *progress) observe(e graph.Event) {
	if !p.live {
		l := line{Time: e.Time, Device: e.Row + 1, Serial: e.Serial, Stage: e.Stage, Status: e.Status}
		if e.Wait > 0 {
			l.Wait = e.Wait.String()
		}
		if e.Err != nil {
			l.Error = command.Explain(e.Err)
		}
		p.fail(command.WriteJSONLine(p.w, l))
		return
	}
	text := fmt.Sprintf("%s %s", e.Stage, e.Status)
	if e.Err != nil {
		text += command.OneLine(e.Err.Error())
	}
	if e.Wait > 0 {
		text += fmt.Sprintf("; again in %v", e.Wait.Round(time.Second))
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
