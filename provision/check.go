package provision

import (
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/whiteglove/whiteglove/internal/misuse"
	"github.com/whiteglove/whiteglove/internal/wire"
)

// check returns what is wrong with the fields of p, or nil. It asks nobody.
func (p *Provisioner) check() error {
	switch {
	case p.TPM == nil:
		return misuse.Errorf("Provisioner.TPM is not set")
	case p.Tenant == "" && p.Profile == nil:
		return misuse.Errorf("Provisioner.Tenant is not set, nor is Provisioner.Profile, which would name it")
	case p.Management == "":
		return misuse.Errorf("Provisioner.Management is not set")
	case p.Steps != nil && len(p.Steps) == 0:
		return misuse.Errorf("Provisioner.Steps is empty; nil stands for the usual steps")
	case p.AIKHandle != 0 && (p.AIKHandle < 0x81020000 || p.AIKHandle > 0x817FFFFF):
		return misuse.Errorf("Provisioner.AIKHandle is 0x%08X, and not from 0x81020000 to 0x817FFFFF", p.AIKHandle)
	}
	if err := wire.CheckSecure(p.Management); err != nil {
		return fmt.Errorf("Provisioner.Management: %w", err)
	}
	for _, step := range p.Steps {
		if stageOf(step) == nil {
			return misuse.Errorf("Provisioner.Steps: there is no step %q", step)
		}
	}
	for step, do := range p.Do {
		if stageOf(step) == nil {
			return misuse.Errorf("Provisioner.Do: there is no step %q", step)
		}
		if do == nil {
			return misuse.Errorf("Provisioner.Do: the function for step %s is nil", step)
		}
	}
	return nil
}

// checkDone returns an error if steps that are taken need the results of others that
// are not listed and have not been done. It names all of those.
func (r *Run) checkDone(taken map[Step]bool) error {
	var missing, needing []string
	for _, s := range flow {
		if taken[s.step] && !slices.Contains(r.Provisioner.Steps, s.step) && s.done != nil && !s.done(r.State) {
			missing = append(missing, string(s.step))
		}
	}
	if len(missing) == 0 {
		return nil
	}
	for _, s := range r.Provisioner.Steps {
		if slices.ContainsFunc(missing, func(m string) bool { return needs(s, Step(m)) }) {
			needing = append(needing, string(s))
		}
	}
	also, need, them := "", "need", "it"
	if len(missing) > 1 {
		also, them = ", nor have "+strings.Join(missing[1:], ", "), "them"
	}
	if len(needing) == 1 {
		need = "needs"
	}
	return &Error{Step: Step(missing[0]), Err: fmt.Errorf("%w%s, and %s %s %s", ErrNotDone, also, strings.Join(needing, ", "), need, them)}
}

// checkStage returns why a stage cannot be taken, or nil if it can.
func (r *Run) checkStage(s stage) error {
	p := r.Provisioner
	done := s.done != nil && s.done(r.State)
	switch {
	case p.Do[s.step] != nil:
		return nil
	case s.do == nil:
		return misuse.Errorf("the protocol of this step is not public: set a function for it in Provisioner.Do")
	case slices.Contains(UserPhase(), s.step) && p.User == nil:
		return misuse.Errorf("this step needs Provisioner.User")
	case s.step == StepToken && !r.State.joined() && p.JoinToken == nil && p.DRS.Public():
		return ErrNoJoinToken
	case s.step == StepRejoin && !done && p.User.JoinToken == nil:
		return misuse.Errorf("this step needs User.JoinToken")
	case s.step == StepSeal && !done && p.DRS.MutualTLS == nil:
		return checkTransport(p.DRS.HTTPClient)
	case s.step == StepSession && !done && p.MutualTLS == nil:
		return checkTransport(p.MDM.HTTPClient)
	}
	return nil
}

// needs reports whether a step needs the results of another one, or those of a step
// that does.
func needs(step, other Step) bool {
	return slices.ContainsFunc(stageOf(step).needs, func(n Step) bool { return n == other || needs(n, other) })
}

// checkTransport returns an error unless the device can show a certificate of its
// own in requests of c. No request would fail without it before the device has
// joined or enrolled.
func checkTransport(c *http.Client) error {
	if c == nil || c.Transport == nil {
		return nil
	}
	if _, ok := c.Transport.(*http.Transport); ok {
		return nil
	}
	return misuse.Errorf("the device could not show its certificate through a %T: set Provisioner.MutualTLS", c.Transport)
}
