package evidence

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/whiteglove/whiteglove/internal/hresult"
	"github.com/whiteglove/whiteglove/internal/traffic"
)

// readTraffic reads a capture. It keeps the first request to each host that setup
// asks, and what failed with a host. Requests themselves hold tokens and are not kept.
func (c *Case) readTraffic(s *Source, r io.Reader) error {
	capture, err := traffic.Read(s.Kind, r)
	s.Records = len(capture.Requests) + capture.Lost + capture.Others
	trouble := false
	for _, u := range capture.Uses {
		trouble = c.trafficHost(s, capture, u) || trouble
	}
	if last, next := capture.Stopped(); last != nil && !trouble {
		at := &capture.Requests[len(capture.Requests)-1]
		f := c.trafficFact(s, capture, last.Name, at.Number, at.End)
		f.name, f.value = "traffic ends", next.Name
		f.text = fmt.Sprintf("the capture ends after the step %q; no host of the step %q was asked", last.Name, next.Name)
		c.add(f)
	}
	return err
}

// trafficHost keeps what a capture shows of a host. It reports whether there is
// trouble with one that setup needs.
func (c *Case) trafficHost(s *Source, capture *traffic.Capture, u *traffic.Use) (trouble bool) {
	f := c.trafficFact(s, capture, u.Host.Step, u.Number, u.First)
	f.text = fmt.Sprintf("first request to %s: %s", u.Name, u.Host.Use)
	c.add(f)
	add := func(r *traffic.Request, name, value, text string, code uint32) {
		f := c.trafficFact(s, capture, u.Host.Step, r.Number, r.Begin)
		f.name, f.value, f.text = name, value, u.Name+": "+text
		f.lower = strings.ToLower(f.text)
		if code != 0 {
			f.codes = []uint32{code}
		}
		c.add(f)
		trouble = trouble || u.Host.Need == traffic.Needed
	}
	first := &traffic.Request{Number: u.Number, Begin: u.First}
	switch {
	case u.Failure == traffic.BadTLS:
		add(&u.Failed, "traffic TLS", "failed", string(u.Failure), u.Failure.Code())
	case u.Failure != "":
		add(&u.Failed, "traffic blocked", u.Host.Step, string(u.Failure), u.Failure.Code())
	case u.Status >= http.StatusBadRequest:
		text, code := refusal(u)
		if code != 0 {
			add(&u.Refused, "traffic refused", u.Host.Step, text, code)
		}
	}
	if u.Inspection != "" {
		value := "doubtful"
		if u.Certain {
			value = "inspected"
		}
		text := u.Inspection
		if u.Issuer != "" && c.Personal {
			text += ", " + u.Issuer
		}
		add(first, "traffic TLS", value, text, 0)
	}
	return trouble
}

// trafficFact returns a fact without contents. It has no time if the capture gives no
// date, because it cannot be ordered among others then.
func (c *Case) trafficFact(s *Source, capture *traffic.Capture, step string, number int, at time.Time) fact {
	f := fact{ref: Ref{File: s.Name, Line: number}, step: step}
	if s.Kind == traffic.HAR {
		f.ref = Ref{File: s.Name, Record: uint64(number)}
	}
	if !capture.Undated && at.Year() > 1970 {
		f.time, f.local = at, capture.Local
	}
	return f
}

// refusal returns what the last answer of a host means, in words that rules look for,
// and its code, or 0 for an answer that is none of a fault: services refuse requests
// without a token in the course of things.
func refusal(u *traffic.Use) (text string, code uint32) {
	words := http.StatusText(u.Status)
	switch {
	case u.Host.Step == "ek" && u.Status == http.StatusNotFound:
		text = "EK cert not found"
	case u.Host.Step == "aik" && u.Refused.Capabilities:
		text = "GetCACaps: " + words
	case u.Host.Step == "aik" || u.Status >= http.StatusInternalServerError:
		text = fmt.Sprintf("HTTP status %d %s", u.Status, words)
	default:
		return "", 0
	}
	return text, hresult.HTTP(u.Status)
}
