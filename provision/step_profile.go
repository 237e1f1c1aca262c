package provision

import (
	"context"
	"crypto/rsa"
	"slices"
	"strings"

	"github.com/whiteglove/whiteglove/autopilot"
	"github.com/whiteglove/whiteglove/internal/hresult"
	"github.com/whiteglove/whiteglove/internal/misuse"
	"github.com/whiteglove/whiteglove/internal/wire"
)

// takeProfile takes StepProfile if there is a hash or a profile to get, and
// settles the rest. Until it returns, no other step runs.
func (r *Run) takeProfile(ctx context.Context) error {
	p := r.Provisioner
	r.warnings = map[Step][]string{}
	if r.takesProfile() {
		s := *stageOf(StepProfile)
		if own := p.Do[StepProfile]; own != nil {
			s.do = own
		}
		if err := r.try(context.WithValue(ctx, stepKey{}, StepProfile), s); err != nil {
			return &Error{Step: StepProfile, Err: err}
		}
	}
	return r.settle()
}

// takesProfile reports whether StepProfile is taken.
func (r *Run) takesProfile() bool {
	p := r.Provisioner
	return p.Hash != nil || p.Profile != nil || p.Do[StepProfile] != nil
}

// settle settles what the profile leaves the Provisioner to do.
func (r *Run) settle() error {
	p := r.Provisioner
	if slices.Contains(p.Steps, StepProfile) && !r.takesProfile() {
		return &Error{Step: StepProfile, Err: misuse.Errorf("this step needs Provisioner.Hash or Provisioner.Profile")}
	}
	if r.Profile != nil {
		if err := p.Apply(r.Profile); err != nil {
			return err
		}
		p.Device.Name = or(p.Device.Name, r.State.DeviceName)
	}
	if p.Steps == nil {
		p.Steps = between(StepEK, StepEnroll)
	}
	p.Device.Name = or(p.Device.Name, "whiteglove")
	p.MDM.Device.Name = or(p.MDM.Device.Name, p.Device.Name)
	return nil
}

// Apply sets what p leaves open to what a profile says: Tenant and Steps, as the
// comment of the field Profile tells. It is for a profile from a file; Run applies
// a downloaded one to a copy of p. The device's name is not set, because its
// template may ask for digits at random; see [autopilot.Profile.ComputerName].
//
// The error is an [*Error] of StepProfile if the profile belongs to another tenant
// than p, or has the device join Active Directory and p.Do has no function for
// StepJoin.
func (p *Provisioner) Apply(profile *autopilot.Profile) error {
	plan := profile.Plan("")
	if plan.Hybrid && p.Do[StepJoin] == nil {
		return &Error{Step: StepProfile, Err: &advisedError{
			hresult.NewError(hresult.NotSupported, "the profile has the device join Active Directory (hybrid join), which this run does not do"),
			"Give the device a profile that joins Microsoft Entra only. A program can do the join itself: a function for StepJoin in Provisioner.Do.",
		}}
	}
	if wire.IsGUID(p.Tenant) && wire.IsGUID(profile.TenantID) && !strings.EqualFold(p.Tenant, profile.TenantID) {
		return &Error{Step: StepProfile, Err: &advisedError{
			hresult.Errorf(hresult.InvalidData, "the profile belongs to tenant %s, not %s", profile.TenantID, p.Tenant),
			"Give the tenant of the profile (in the programs: -tenant), or the profile of another tenant.",
		}}
	}
	p.Tenant = or(p.Tenant, plan.Tenant)
	if p.Steps != nil {
		return nil
	}
	if plan.Mode == "self-deploying" {
		p.Steps = between(StepEK, StepSession)
		return nil
	}
	p.Steps = Technician()
	if p.User != nil {
		p.Steps = append(p.Steps, UserPhase()...)
	}
	return nil
}

// fetchProfile does StepProfile.
func fetchProfile(ctx context.Context, r *Run) (bool, error) {
	p := r.Provisioner
	if err := r.proveTPM(ctx); err != nil {
		return false, err
	}
	if p.Hash != nil {
		if err := r.matchHash(ctx); err != nil {
			return false, err
		}
	}
	switch {
	case p.Profile == nil:
		return false, nil
	case r.State.Profile != nil && r.State.ofTPM():
		r.Profile = r.State.Profile
		return true, nil
	case p.Hash == nil:
		return false, misuse.Errorf("a profile is asked for with the hardware hash: set Provisioner.Hash")
	}
	profile, err := p.Profile.Download(ctx, p.Hash)
	if err != nil {
		return false, err
	}
	name, err := profile.ComputerName(strings.TrimSpace(p.Hash.Hardware().Serial))
	if err != nil {
		r.Warn(ctx, "the device gets no name by the profile: %v", err)
	}
	for _, f := range profile.Lint() {
		r.debug("profile", "finding", f.ID, "detail", f.Detail)
	}
	r.Profile = profile
	return false, r.Commit(ctx, func(s *State) {
		s.Profile, s.DeviceName = profile, name
		s.Tenant = or(s.Tenant, or(profile.TenantID, profile.TenantDomain))
	})
}

// matchHash compares the hardware hash with the TPM's RSA endorsement keys. It
// fails if the hash is of another mainboard, and warns if that cannot be told.
func (r *Run) matchHash(ctx context.Context) error {
	p := r.Provisioner
	match := p.Hash.Match(nil) // cannot be told by what the TPM has
	for ek, err := range p.TPM.EKs(ctx) {
		if err != nil {
			return err
		}
		if _, ok := ek.Public.(*rsa.PublicKey); !ok {
			continue
		}
		switch m := p.Hash.Match(ek.Public); {
		case m.Verdict == autopilot.Same:
			return nil
		case match.Verdict != autopilot.Other:
			match = m
		}
	}
	if match.Verdict == autopilot.Other {
		return &foreignHash{match}
	}
	r.Warn(ctx, "hardware hash: %s", match)
	return nil
}

// A foreignHash is the error for a hardware hash of another device.
type foreignHash struct{ match autopilot.Match }

// Error implements error.
func (e *foreignHash) Error() string {
	return "the hardware hash does not belong to this TPM: " + e.match.Reason
}

// HRESULT returns the code that setup screens show when a device with another
// endorsement key tries to join (observed).
func (e *foreignHash) HRESULT() uint32 { return 0x801C03EA }

// Retryable returns false.
func (e *foreignHash) Retryable() bool { return false }

// Remedy tells what a technician can do.
func (e *foreignHash) Remedy() string {
	return "Take the hardware hash on this device, and import it in place of the old one: the mainboard was replaced, or the hash is another device's."
}

// checkProfile warns if what the directory gave is not what the profile announced.
func (r *Run) checkProfile(ctx context.Context, what, got, announced string) {
	if announced != "" && got != "" && !strings.EqualFold(got, announced) {
		r.Warn(ctx, "the %s is %s, and the profile announced %s", what, got, announced)
	}
}
