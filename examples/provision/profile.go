package main

import (
	"strings"

	"github.com/whiteglove/whiteglove/autopilot"
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
		return nil, command.At("-profile", err)
	}
	p, err := autopilot.ParseProfile(text)
	return p, command.At("-profile "+o.profile, err)
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
			return command.At("-hash", err)
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
			return command.At("-profile "+o.profile, err)
		}
	}
	return p.Apply(profile)
}
