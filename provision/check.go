package provision

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/whiteglove/whiteglove/internal/wire"
)

// check returns what is wrong with the fields of p, or nil. It asks nobody.
func (p *Provisioner) check() error {
	switch {
	case p.TPM == nil:
		return errors.New("Provisioner.TPM is not set")
	case p.Tenant == "" && p.Profile == nil:
		return errors.New("Provisioner.Tenant is not set, nor is Provisioner.Profile, which would name it")
	case p.Management == "":
		return errors.New("Provisioner.Management is not set")
	case p.Steps != nil && len(p.Steps) == 0:
		return errors.New("Provisioner.Steps is empty; nil stands for the usual steps")
	case p.AIKHandle != 0 && (p.AIKHandle < 0x81020000 || p.AIKHandle > 0x817FFFFF):
		return fmt.Errorf("Provisioner.AIKHandle is 0x%08X, and not from 0x81020000 to 0x817FFFFF", p.AIKHandle)
	}
	if err := wire.CheckSecure(p.Management); err != nil {
		return fmt.Errorf("Provisioner.Management: %w", err)
	}
	for _, step := range p.Steps {
		if stageOf(step) == nil {
			return fmt.Errorf("Provisioner.Steps: there is no step %q", step)
		}
	}
	for step, do := range p.Do {
		if stageOf(step) == nil {
			return fmt.Errorf("Provisioner.Do: there is no step %q", step)
		}
		if do == nil {
			return fmt.Errorf("Provisioner.Do: the function for step %s is nil", step)
		}
	}
	return nil
}

// checkStage returns why a stage cannot be taken, or nil if it can.
func (r *Run) checkStage(s stage) error {
	p := r.Provisioner
	done := s.done != nil && s.done(r.State)
	switch {
	case !slices.Contains(p.Steps, s.step) && s.done != nil && !done:
		return fmt.Errorf("%w, and %s", ErrNotDone, r.neededBy(s.step))
	case p.Do[s.step] != nil:
		return nil
	case s.do == nil:
		return errors.New("the protocol of this step is not public: set a function for it in Provisioner.Do")
	case slices.Contains(UserPhase(), s.step) && p.User == nil:
		return errors.New("this step needs Provisioner.User")
	case s.step == StepToken && !r.State.joined() && p.JoinToken == nil && p.DRS.Public():
		return ErrNoJoinToken
	case s.step == StepRejoin && !done && p.User.JoinToken == nil:
		return errors.New("this step needs User.JoinToken")
	case s.step == StepSeal && !done && p.DRS.MutualTLS == nil:
		return checkTransport(p.DRS.HTTPClient)
	case s.step == StepSession && !done && p.MutualTLS == nil:
		return checkTransport(p.MDM.HTTPClient)
	}
	return nil
}

// neededBy says which of the listed steps need a step that is not listed.
func (r *Run) neededBy(step Step) string {
	var names []string
	for _, s := range r.Provisioner.Steps {
		if needs(s, step) {
			names = append(names, string(s))
		}
	}
	if len(names) == 1 {
		return names[0] + " needs it"
	}
	return strings.Join(names, ", ") + " need it"
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
	return fmt.Errorf("the device could not show its certificate through a %T: set Provisioner.MutualTLS", c.Transport)
}
