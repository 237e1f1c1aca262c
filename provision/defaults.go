package provision

import (
	"net/http"
	"time"

	"github.com/whiteglove/whiteglove/aik"
	"github.com/whiteglove/whiteglove/drs"
	"github.com/whiteglove/whiteglove/ekcert"
	"github.com/whiteglove/whiteglove/mdm"
	"github.com/whiteglove/whiteglove/mdm/omadm"
)

// withDefaults returns a copy of p in which nil clients and empty fields have
// their defaults.
func (p *Provisioner) withDefaults() *Provisioner {
	c := *p
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Backoff == nil {
		c.Backoff = DefaultBackoff
	}
	c.Device.Type = or(c.Device.Type, "Windows")
	c.Device.OSVersion = or(c.Device.OSVersion, mdm.DefaultOSVersion)
	c.EKCert, c.AIK, c.DRS = clone(c.EKCert), clone(c.AIK), clone(c.DRS)
	c.Token, c.MDM = clone(c.Token), clone(c.MDM)
	if c.DRS.MutualTLS == nil {
		c.DRS.MutualTLS = c.MutualTLS
	}
	if c.Setup.Tree == nil {
		c.Setup.Tree = new(omadm.Tree)
	}
	if c.Setup.Pause == 0 {
		c.Setup.Pause = time.Minute
	}
	if c.Steps == nil && c.Profile == nil {
		c.Steps = between(StepEK, StepEnroll)
	}
	if c.Profile != nil {
		own := *c.Profile
		if own.HTTPClient == nil {
			own.HTTPClient = c.HTTPClient
		}
		c.Profile = &own
	}
	c.MDM.Device.OSVersion = or(c.MDM.Device.OSVersion, c.Device.OSVersion)
	for _, h := range []**http.Client{&c.EKCert.HTTPClient, &c.AIK.HTTPClient, &c.DRS.HTTPClient, &c.Token.HTTPClient, &c.MDM.HTTPClient} {
		if *h == nil {
			*h = c.HTTPClient
		}
	}
	return &c
}

// clone returns a copy of *p, or a zero value if p is nil.
func clone[T ekcert.Client | aik.Client | drs.Client | mdm.Client | mdm.TokenClient](p *T) *T {
	if p == nil {
		return new(T)
	}
	c := *p
	return &c
}

// or returns s, or fallback if s is empty.
func or(s, fallback string) string {
	if s == "" {
		return fallback
	}
	return s
}
