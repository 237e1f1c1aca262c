package provision

import (
	"errors"
	"fmt"
	"slices"
)

// plan selects the stages to take: those of the steps in Provisioner.Steps, and
// those from which they need results, to load them or to make them again.
func (r *Run) plan() error {
	p := r.Provisioner
	taken := make(map[Step]bool)
	for _, step := range p.Steps {
		if stageOf(step) == nil {
			return &Error{Err: fmt.Errorf("there is no step %q", step)}
		}
		taken[step] = true
	}
	for _, s := range slices.Backward(flow) {
		for _, need := range s.needs {
			taken[need] = taken[need] || taken[s.step]
		}
	}
	r.marks = map[Step]chan struct{}{}
	for _, s := range flow {
		if !taken[s.step] || s.step == StepProfile {
			continue // takeProfile has taken StepProfile
		}
		if err := r.check(s); err != nil {
			return &Error{Step: s.step, Err: err}
		}
		if own := p.Do[s.step]; own != nil {
			s.do = own
		}
		r.stages = append(r.stages, s)
		r.marks[s.step] = make(chan struct{})
	}
	if taken[StepAIK] {
		r.marks[tpmFree] = make(chan struct{})
	}
	return nil
}

// check returns why a stage cannot be taken, or nil if it can.
func (r *Run) check(s stage) error {
	p := r.Provisioner
	done := s.done != nil && s.done(r.State)
	switch {
	case !slices.Contains(p.Steps, s.step) && s.done != nil && !done:
		return ErrNotDone
	case p.Do[s.step] != nil:
		return nil
	case s.do == nil:
		return errors.New("the protocol of this step is not public: set a function for it in Provisioner.Do")
	case slices.Contains(UserPhase(), s.step) && p.User == nil:
		return errors.New("this step needs Provisioner.User")
	case s.step == StepRejoin && !done && p.User.JoinToken == nil:
		return errors.New("this step needs User.JoinToken")
	}
	return nil
}

// takes reports whether at least one of steps is taken and has not been done.
func (r *Run) takes(steps ...Step) bool {
	return slices.ContainsFunc(r.stages, func(s stage) bool {
		return slices.Contains(steps, s.step) && (s.done == nil || !s.done(r.State))
	})
}
