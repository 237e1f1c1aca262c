package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/whiteglove/whiteglove/autopilot"
	"github.com/whiteglove/whiteglove/diagnose"
	"github.com/whiteglove/whiteglove/drs/drstest"
	"github.com/whiteglove/whiteglove/examples/internal/command"
	"github.com/whiteglove/whiteglove/examples/internal/device"
	"github.com/whiteglove/whiteglove/provision"
	"github.com/whiteglove/whiteglove/provision/provisiontest"
)

// readProfile reads the deployment profile that the flags name. It returns nil if
// they name none.
func (o *options) readProfile() (*autopilot.Profile, error) {
	if o.profile == "" {
		return nil, nil
	}
	text, err := command.ReadFile(o.profile)
	if err != nil {
		return nil, command.Wrong("-profile", err)
	}
	p, err := autopilot.ParseProfile(text)
	switch {
	case errors.Is(err, autopilot.ErrNoProfile):
		return nil, command.Wrong("-profile "+o.profile, errors.New("there is no profile in it, for it names no tenant: name the file of a profile or, if the service gave this file, assign a profile to the device first"))
	case err != nil:
		return nil, command.Wrong("-profile "+o.profile, err)
	case p.Plan("").Hybrid:
		return nil, command.Wrong("-profile "+o.profile, errors.New("the profile has the device join Active Directory (hybrid join), which this program does not do: use a profile that joins Microsoft Entra"))
	}
	return p, nil
}

// newDirectory returns a mock directory with the tenant of a profile.
func newDirectory(p *autopilot.Profile) *drstest.Server {
	if p == nil {
		return nil
	}
	return &drstest.Server{Tenant: strings.ToLower(p.TenantDomain), TenantID: strings.ToLower(p.TenantID)}
}

// follow sets tenant, steps, hash and name of the device as flags and profile say.
func (o *options) follow(p *provision.Provisioner, profile *autopilot.Profile) (err error) {
	p.Tenant, p.Steps = o.tenant, o.selectSteps()
	if o.hash != "" {
		if p.Hash, err = device.ReadHash(o.hash); err != nil {
			return command.Wrong("-hash", err)
		}
		if err := p.Hash.Verify(); err != nil {
			return command.Wrong("-hash "+o.hash, fmt.Errorf("the hash is damaged, or was put together by hand: %s. Take it from the device again", diagnose.Explain(err).Cause))
		}
	}
	if profile == nil {
		if p.Tenant == "" {
			p.Tenant = provisiontest.Tenant
		}
		return nil
	}
	if p.Hash != nil {
		if p.Device.Name, err = profile.ComputerName(strings.TrimSpace(p.Hash.Hardware().Serial)); err != nil {
			return command.Wrong("-profile "+o.profile, err)
		}
	}
	return p.Apply(profile)
}
