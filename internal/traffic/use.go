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

	judged time.Time // begin of the request that Failure and Status are of

	tunneled bool // a CONNECT succeeded
	opened   bool // and requests within TLS are shown
	got      int  // the most bytes that a tunnel passed, -1 if not known
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
	if r.Begin.Before(u.judged) {
		return // a log has a tunnel where that ended
	}
	u.judged = r.Begin
	if r.Failure != "" && u.Failure == "" {
		u.Failed = *r
	}
	u.Failure = r.Failure
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

// Steps returns the steps in the order of the flow: those of which a host was asked,
// and those that every pre-provisioning has before the last of them, without hosts.
func (c *Capture) Steps() (list []StepUse) {
	last := 0 // length of list when the last step was added that every pre-provisioning has
	for i := range steps {
		s := StepUse{Step: &steps[i]}
		for _, u := range c.Uses { // in the order of their begin
			if u.Host.Step != s.Name {
				continue
			}
			if len(s.Uses) == 0 {
				s.Begin = u.First
			}
			if u.Last.After(s.End) {
				s.End = u.Last
			}
			s.Uses = append(s.Uses, u)
		}
		if len(s.Uses) > 0 || s.Always {
			list = append(list, s)
		}
		if len(s.Uses) > 0 && s.Always {
			last = len(list)
		}
	}
	tail := slices.DeleteFunc(list[last:], func(s StepUse) bool { return len(s.Uses) == 0 })
	return list[:last+len(tail)]
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
