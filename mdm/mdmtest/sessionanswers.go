package mdmtest

import (
	"fmt"
	"strconv"
)

// A pending is a command that the device has to answer.
type pending struct {
	verb, id string
	items    []Item
}

// flatten returns commands and those in them, in the order of their answers.
func flatten(commands []Command) []pending {
	var all []pending
	for _, c := range commands {
		all = append(all, pending{c.Verb, c.ID, c.Items})
		all = append(all, flatten(c.Commands)...)
	}
	return all
}

// checkAnswers returns a device's answers to the commands of the server's last
// message. There must be a Status for the header, then one or more for each
// command, in order. Results come after a Status of their Get: all at the end,
// or each at once, as Windows writes them.
func checkAnswers(commands []syncCommand, msgRef string, want []pending) ([]Response, error) {
	var statuses, results []syncCommand
	answered := make(map[string]bool) // CmdRefs
	for _, c := range commands {
		switch {
		case c.name() == "Status":
			statuses = append(statuses, c)
			answered[only(c.CmdRef)] = true
		case c.name() == "Results" && answered[only(c.CmdRef)]:
			results = append(results, c)
		default:
			return nil, fmt.Errorf("a <%.40s> where a Status or Results should be", c.name())
		}
		if only(c.MsgRef) != msgRef {
			return nil, fmt.Errorf("a <%s> with MsgRef %.40q, not %s", c.name(), c.MsgRef, msgRef)
		}
		if c.name() == "Status" && !threeDigits.MatchString(c.data()) {
			return nil, fmt.Errorf("status %.40q", c.Data)
		}
	}
	if len(statuses) == 0 || only(statuses[0].CmdRef) != "0" || only(statuses[0].Cmd) != "SyncHdr" {
		return nil, fmt.Errorf("the first Status is not for the header")
	}
	if len(commands) == 1 && len(want) > 0 {
		return nil, fmt.Errorf("a Status for the header and no more")
	}
	statuses = statuses[1:]
	var done []Response
	for _, p := range want {
		got, rest, err := p.take(statuses)
		if err != nil {
			return nil, err
		}
		done, statuses = append(done, got...), rest
	}
	if len(statuses) > 0 {
		return nil, fmt.Errorf("a Status for CmdRef %.60q, which is no command left", statuses[0].CmdRef)
	}
	return done, attach(done, results, want)
}

// readAnswers is checkAnswers for clients that answer each command, but in an order
// of their own, with statuses for what was no command, and with MsgRefs that count
// otherwise. A Get with a status of 200 may lack its value.
func readAnswers(commands []syncCommand, _ string, want []pending) ([]Response, error) {
	var done []Response
	for _, p := range want {
		found := false
		for _, c := range commands {
			if c.name() != "Status" || only(c.CmdRef) != p.id || only(c.Cmd) != p.verb || !threeDigits.MatchString(c.data()) {
				continue
			}
			code, err := strconv.Atoi(c.data())
			if err != nil {
				return nil, err
			}
			found = true
			if len(p.items) == 0 {
				done = append(done, Response{Verb: p.verb, Status: code})
			}
			for _, item := range p.items {
				done = append(done, Response{Verb: p.verb, Target: item.Target, Status: code})
			}
			break
		}
		if !found {
			return nil, fmt.Errorf("no Status for the %s with CmdID %.60q", p.verb, p.id)
		}
	}
	for _, c := range commands {
		for _, i := range c.Items {
			if c.name() == "Results" {
				place(done, Item{Target: i.Source.URI, Format: i.Meta.Format, Data: i.Data.value()})
			}
		}
	}
	return done, nil
}

// take returns the responses for one command, which has one Status for all its
// items or one for each, and the statuses that are left.
func (p *pending) take(statuses []syncCommand) ([]Response, []syncCommand, error) {
	each := p.verb == "Get" || len(p.items) > 1 && len(statuses) > 0 && len(statuses[0].Targets) > 0
	n := 1
	if each {
		n = len(p.items)
	}
	if len(statuses) < n {
		return nil, nil, fmt.Errorf("no Status for the %s with CmdID %.60q", p.verb, p.id)
	}
	var done []Response
	for i, s := range statuses[:n] {
		// The CmdRef for an empty CmdID is an empty element.
		if len(s.CmdRef) != 1 || s.CmdRef[0] != p.id || only(s.Cmd) != p.verb {
			return nil, nil, fmt.Errorf("a Status for %.40q, CmdRef %.60q, where that for the %s with CmdID %.60q should be", s.Cmd, s.CmdRef, p.verb, p.id)
		}
		if len(s.Targets) > 0 && (len(p.items) <= i || only(s.Targets) != p.items[i].Target) {
			return nil, nil, fmt.Errorf("a Status for TargetRef %.100q", s.Targets)
		}
		code, err := strconv.Atoi(s.data())
		if err != nil {
			return nil, nil, err
		}
		r := Response{Verb: p.verb, Status: code}
		if each {
			r.Target = p.items[i].Target
			done = append(done, r)
			continue
		}
		for _, item := range p.items {
			r.Target = item.Target
			done = append(done, r)
		}
		if len(p.items) == 0 {
			done = append(done, r)
		}
	}
	return done, statuses[n:], nil
}

// attach adds the values in Results to the responses to Gets. Every response
// with status 200 must have one, and no other may.
func attach(done []Response, results []syncCommand, want []pending) error {
	refs := make(map[string]bool)
	for _, p := range want {
		refs[p.id] = refs[p.id] || p.verb == "Get"
	}
	for _, r := range results {
		if len(r.CmdRef) != 1 || !refs[r.CmdRef[0]] || len(r.Items) == 0 {
			return fmt.Errorf("results for CmdRef %.60q with %d items", r.CmdRef, len(r.Items))
		}
		for _, i := range r.Items {
			if !place(done, Item{Target: i.Source.URI, Format: i.Meta.Format, Data: i.Data.value()}) {
				return fmt.Errorf("results for %.100q, which no Get with status 200 asked for", i.Source.URI)
			}
		}
	}
	for _, d := range done {
		if d.Verb == "Get" && d.Status == 200 && d.Result == nil {
			return fmt.Errorf("no Results for %.100q", d.Target)
		}
	}
	return nil
}

// place adds a value to the first response to a Get of its node that has none.
func place(done []Response, item Item) bool {
	for i, d := range done {
		if d.Verb == "Get" && d.Status == 200 && d.Result == nil && d.Target == item.Target {
			done[i].Result = &item
			return true
		}
	}
	return false
}
