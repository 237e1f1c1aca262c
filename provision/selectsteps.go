package provision

import (
	"context"
	"slices"
)

// Plan returns the steps that Run would take now, in the order of the flow (with
// SealEarly, StepSeal before StepSession): those
// of Steps, and those whose results they need. Each of them will end with an [Event].
// Plan reads the stored state, and asks neither the TPM nor a service. While the
// profile has not been downloaded that says which steps they are, Plan returns
// StepProfile alone. The caller owns the slice.
//
// The error is an [*Error], as of Run: a field is missing, the stored state cannot
// be used, or it wraps [ErrNotDone].
func (p *Provisioner) Plan(ctx context.Context) ([]Step, error) {
	if err := p.check(); err != nil {
		return nil, &Error{Err: err}
	}
	r := &Run{Provisioner: p.withDefaults()}
	if err := r.load(ctx); err != nil {
		return nil, &Error{Err: err}
	}
	var list []Step
	if r.takesProfile() {
		list = append(list, StepProfile)
	}
	if r.Provisioner.Profile != nil {
		if r.Profile = r.State.Profile; r.Profile == nil && p.Steps == nil {
			return list, nil
		}
	}
	if err := r.settle(); err != nil {
		return nil, err
	}
	if err := r.plan(); err != nil {
		return nil, err
	}
	return append(list, r.taken()...), nil
}

// plan selects the stages to take: those of the steps in Provisioner.Steps, and
// those from which they need results, to load them or to make them again.
func (r *Run) plan() error {
	p := r.Provisioner
	taken := make(map[Step]bool)
	for _, step := range p.Steps {
		taken[step] = true
	}
	for _, s := range slices.Backward(flow) {
		for _, need := range s.needs {
			taken[need] = taken[need] || taken[s.step]
		}
	}
	if err := r.checkDone(taken); err != nil {
		return err
	}
	r.marks = map[Step]chan struct{}{}
	for _, s := range flow {
		if !taken[s.step] || s.step == StepProfile {
			continue // takeProfile has taken StepProfile
		}
		if err := r.checkStage(s); err != nil {
			return &Error{Step: s.step, Err: err}
		}
		if own := p.Do[s.step]; own != nil {
			s.do = own
		}
		if p.SealEarly {
			s.after = sealEarly(s)
		}
		r.stages = append(r.stages, s)
		r.marks[s.step] = make(chan struct{})
	}
	if p.SealEarly {
		at := func(step Step) int { return slices.IndexFunc(r.stages, func(s stage) bool { return s.step == step }) }
		if session, seal := at(StepSession), at(StepSeal); session >= 0 && seal >= 0 {
			r.stages[session], r.stages[seal] = r.stages[seal], r.stages[session]
		}
	}
	if taken[StepAIK] {
		r.marks[tpmFree] = make(chan struct{})
	}
	return nil
}

// sealEarly returns the steps that come before a stage if they are taken, where the
// device leaves the tenant before its sessions.
func sealEarly(s stage) []Step {
	switch s.step {
	case StepSeal:
		return []Step{StepEnroll}
	case StepSession:
		return []Step{StepSeal}
	}
	return s.after
}

// takes reports whether at least one of steps is taken and has not been done.
func (r *Run) takes(steps ...Step) bool {
	return slices.ContainsFunc(r.stages, func(s stage) bool {
		return slices.Contains(steps, s.step) && (s.done == nil || !s.done(r.State))
	})
}
