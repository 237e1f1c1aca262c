package traffic

import (
	"net/http"
	"slices"
	"time"
)

// A Use is what a capture shows of a host.
type Use struct {
	Host        *Host
	Name        string
	First, Last time.Time // begin of the first request, end of the last
	Requests    int
	Number      int // of the first request

	// Failure is why the last requests failed. It is empty if the last one
	// reached the host. Failed is the first of them.
	Failure Failure
	Failed  Request

	// Status is that of the last answer of the host itself, 0 for none.
	Status  int
	Refused Request // the last request to which the host answered with an error

	// Inspection says why TLS to the host seems to be inspected, or is empty.
	// Certain tells that no other reason is known. Issuer is the name of the
	// certificate's issuer, if the capture has one that is not public.
	Inspection string
	Certain    bool
	Issuer     string

	tunnels, opened int // CONNECT that succeeded, and requests within TLS
	got             int // the most bytes that a tunnel passed, -1 if not known
}

// add adds a request.
func (u *Use) add(r *Request) {
	u.Requests++
	if r.Begin.Before(u.First) {
		u.First, u.Number = r.Begin, r.Number
	}
	if r.End.After(u.Last) {
		u.Last = r.End
	}
	switch {
	case r.Failure == "":
		u.Failure = ""
	case u.Failure == "":
		u.Failed = *r
		fallthrough
	default:
		u.Failure = r.Failure
	}
	if r.Failure == "" && r.Method != http.MethodConnect {
		u.Status = r.Status
		if r.Status >= http.StatusBadRequest {
			u.Refused = *r
		}
	}
}

// A StepUse is what a capture shows of a step.
type StepUse struct {
	*Step
	Uses       []*Use
	Begin, End time.Time // zero if no host of the step was asked
}

// Blocked returns the hosts that were not reached to the end.
func (s *StepUse) Blocked() (list []*Use) {
	for _, u := range s.Uses {
		if u.Failure != "" {
			list = append(list, u)
		}
	}
	return list
}

// Steps returns the steps in the order of the flow: those of which a host was asked,
// and those that every pre-provisioning has before the last of them, without hosts.
func (c *Capture) Steps() []StepUse {
	var list []StepUse
	for i := range steps {
		s := StepUse{Step: &steps[i]}
		for _, u := range c.Uses {
			if u.Host.Step != s.Name {
				continue
			}
			if len(s.Uses) == 0 || u.First.Before(s.Begin) {
				s.Begin = u.First
			}
			if u.Last.After(s.End) {
				s.End = u.Last
			}
			s.Uses = append(s.Uses, u)
		}
		list = append(list, s)
	}
	last := c.reached(list)
	return slices.DeleteFunc(list, func(s StepUse) bool {
		return len(s.Uses) == 0 && (!s.Always || slices.IndexFunc(steps, func(x Step) bool { return x.Name == s.Name }) > last)
	})
}

// reached returns the index of the last step that every pre-provisioning has and of
// which a host was asked, -1 for none.
func (c *Capture) reached(list []StepUse) int {
	last := -1
	for i, s := range list {
		if s.Always && len(s.Uses) > 0 {
			last = i
		}
	}
	return last
}

// Stopped returns the last step of a capture and the next one, if the capture shows a
// setup that ends before it enrolls. They are nil otherwise.
func (c *Capture) Stopped() (last, next *Step) {
	asked := map[string]bool{}
	for _, u := range c.Uses {
		asked[u.Host.Step] = true
	}
	if !asked["ticket"] && !asked["profile"] || asked["enroll"] || asked["provider"] {
		return nil, nil
	}
	for i := range steps {
		switch s := &steps[i]; {
		case !s.Always:
		case asked[s.Name]:
			last, next = s, nil
		case next == nil:
			next = s
		}
	}
	return last, next
}
