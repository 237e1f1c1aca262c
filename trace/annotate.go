package trace

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/whiteglove/whiteglove/internal/traffic"
	"github.com/whiteglove/whiteglove/internal/wide"
	"github.com/whiteglove/whiteglove/provision"
)

// ErrNoCapture is returned by [Annotate] for what is no capture. It may still be
// evidence of another kind, for which see package diagnose/evidence.
var ErrNoCapture = errors.New("trace: neither an HTTP archive, a proxy's log nor a list of times and hosts")

// missing is the status of a step of which a capture has no request.
const missing provision.Status = "missing"

// sniffed is how many bytes decide on the kind of a capture.
const sniffed = 4096

// Annotate reads a capture of a real device's setup and returns a trace that is
// written as that of a run, with the same time line, so that one can be laid beside
// the other. A capture is an HTTP Archive (of Fiddler, a browser or mitmproxy), the
// access log of a proxy (Squid's own form, or the common or combined form), or a list
// of lines with a time and a host, such as "00:10 login.live.com", which may go on
// with a status or a word such as "blocked". It is text in UTF-8 or UTF-16.
//
// The steps of the trace are those of the flow. Each has the requests to its hosts and
// tells what these are for, when it began, which hosts were not reached and what that
// breaks later, and to which TLS seems to be inspected. A step that every
// pre-provisioning takes and the capture lacks has the status "missing".
//
// A capture holds secrets. Of it the trace keeps times, methods, statuses, sizes, the
// names of hosts that setup is known to ask, and the name of an issuer that is not
// public. Requests to other hosts are counted.
//
// The error is [ErrNoCapture], that of r, or says where an archive is damaged. In the
// last two cases the trace has what was read before, and is not nil.
func Annotate(r io.Reader) (*Trace, error) {
	b := bufio.NewReaderSize(r, sniffed)
	head, err := b.Peek(sniffed)
	if err != nil && err != io.EOF {
		return nil, err
	}
	text, _ := io.ReadAll(wide.UTF8(strings.NewReader(string(head)))) // the end may be within a character
	kind := traffic.KindOf(string(text))
	if kind == "" {
		return nil, ErrNoCapture
	}
	c, err := traffic.Read(kind, b)
	if err != nil {
		err = fmt.Errorf("trace: %s: %w", kind, err)
	}
	t := &Trace{capture: c, lost: c.Lost}
	if len(c.Uses) > 0 {
		t.start = c.Uses[0].First
	}
	index := map[string]int{}
	for i, s := range c.Steps() {
		index[s.Name] = i
		t.steps = append(t.steps, annotated(&s, t.start))
	}
	for i := range c.Requests {
		e := captured(&c.Requests[i])
		e.Step = index[c.Requests[i].Host.Step]
		t.entries = append(t.entries, e)
	}
	return t, err
}

// annotated returns a step of a capture.
func annotated(s *traffic.StepUse, start time.Time) traceStep {
	out := traceStep{Step: provision.Step(s.Name), Status: provision.Done, Attempt: 1, Begin: s.Begin, End: s.End}
	if len(s.Uses) == 0 {
		out.Status, out.Begin, out.End = missing, start, start
		out.Warnings = []string{"Every pre-provisioning asks " + strings.Join(s.Hosts(), " or ") + " here. The capture has no such request."}
		return out
	}
	var failed []string
	for _, u := range s.Uses {
		switch {
		case u.Failure == "":
		case u.Host.Need == traffic.Needed:
			failed = append(failed, u.Name+": "+string(u.Failure))
			out.Remedy = s.Later(u.Failure.Code())
		default:
			out.Warnings = append(out.Warnings, u.Name+": "+string(u.Failure)+". "+s.Breaks)
		}
		if u.Inspection != "" {
			out.Warnings = append(out.Warnings, strings.TrimSuffix("TLS to "+u.Name+" seems to be inspected: "+u.Inspection+", "+u.Issuer, ", "))
		}
	}
	if len(failed) > 0 {
		out.Status, out.Err = provision.Failed, strings.Join(failed, "; ")+"."
	}
	return out
}

// captured returns a request of a capture.
func captured(r *traffic.Request) traceEntry {
	e := traceEntry{
		Kind: "HTTP", Begin: r.Begin, End: r.End, Name: strings.TrimSpace(r.Method + " " + r.Name), Why: r.Host.Use,
		Result: string(r.Failure), Failed: r.Failure != "" || r.Status >= http.StatusBadRequest,
		Sent: message{Bytes: r.Sent}, Got: message{Bytes: r.Got},
		HTTP: &httpDetail{Method: r.Method, URL: "https://" + r.Name + "/", Status: r.Status, StatusText: http.StatusText(r.Status)},
	}
	if r.Purpose != "" {
		e.Why += ": " + r.Purpose
	}
	switch {
	case e.Result == "" && r.Status != 0:
		e.Result = strconv.Itoa(r.Status)
	case e.Result == "":
		e.Result = "asked"
	case r.Status != 0:
		e.Result = fmt.Sprintf("%d, %s", r.Status, r.Failure)
	}
	return e
}

// title returns what the trace is of, and the moment at which it begins.
func (v *traceView) title() (title, start string) {
	start = v.Start.UTC().Format("2006-01-02 15:04:05 UTC")
	if v.Capture == nil {
		return "Provisioning", start
	}
	switch {
	case v.Start.IsZero():
		start = "no request of a setup"
	case v.Capture.Undated:
		start = v.Start.Format("15:04:05") + " of a day"
	case v.Capture.Local:
		start = strings.Replace(start, "UTC", "local time", 1)
	}
	return "Traffic of a device", start
}

// others says what a capture has beyond the hosts of setup.
func (v *traceView) others() string {
	if v.Capture == nil || v.Capture.Others == 0 {
		return ""
	}
	return fmt.Sprintf("other hosts: %d (requests: %d), not shown", v.Capture.OtherHosts(), v.Capture.Others)
}
