package whiteglove

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/whiteglove/whiteglove/aik"
	"github.com/whiteglove/whiteglove/attest"
	"github.com/whiteglove/whiteglove/drs"
	"github.com/whiteglove/whiteglove/ekcert"
	"github.com/whiteglove/whiteglove/mdm"
)

// enroll trades the device certificate for a management token and enrolls the
// device with it.
func (r *run) enroll(ctx context.Context) (bool, error) {
	if r.enrolled() {
		return true, nil
	}
	token, err := r.managementToken(ctx)
	if err != nil {
		return false, err
	}
	r.MDM.Device.ID = r.state.DeviceID
	d, err := r.MDM.Discover(ctx, r.Management, "")
	if err != nil {
		return false, err
	}
	policy, err := r.MDM.Policy(ctx, d, token)
	if err != nil {
		return false, err
	}
	key, err := r.managementKey(ctx, policy)
	if err != nil {
		return false, err
	}
	e, err := r.MDM.Enroll(ctx, d, policy, &mdm.Request{
		Token: token, Key: key,
		Context: []mdm.Item{{Name: mdm.ItemWhiteGlove, Value: "true"}, {Name: mdm.ItemNotInOOBE, Value: "false"}},
	})
	if err != nil {
		return false, err
	}
	r.state.ManagementCertificates = append([][]byte{e.Certificate}, e.Issuers...)
	r.state.ManagementServer = e.Server
	return false, nil
}

func (r *run) managementToken(ctx context.Context) (mdm.Token, error) {
	cert, err := r.deviceCertificate()
	if err != nil {
		return "", err
	}
	client := *r.Token
	if client.Endpoint == "" {
		client.Endpoint = r.discovery.TokenEndpoint
	}
	return client.Exchange(ctx, &mdm.TokenRequest{Certificate: cert, DeviceKey: r.device})
}

// managementKey loads or makes the key of the management certificate.
func (r *run) managementKey(ctx context.Context, p *mdm.Policy) (*attest.Key, error) {
	algorithm := attest.RSA2048
	switch {
	case p.MinimalKeyLength > 3072:
		return nil, fmt.Errorf("the management server's policy wants an RSA key of %d bits, and TPMs make none over 3072", p.MinimalKeyLength)
	case p.MinimalKeyLength > 2048:
		algorithm = attest.RSA3072
	}
	return r.key(ctx, &r.state.ManagementKey, attest.Template{Algorithm: algorithm, Usage: attest.Sign})
}

// withDefaults returns a copy of p without a nil client or an empty field that
// has a default.
func (p *Provisioner) withDefaults() *Provisioner {
	c := *p
	if c.Now == nil {
		c.Now = time.Now
	}
	c.Device.Name = or(c.Device.Name, "whiteglove")
	c.Device.Type = or(c.Device.Type, "Windows")
	c.Device.OSVersion = or(c.Device.OSVersion, mdm.DefaultOSVersion)
	c.EKCert, c.AIK, c.DRS = clone(c.EKCert), clone(c.AIK), clone(c.DRS)
	c.Token, c.MDM = clone(c.Token), clone(c.MDM)
	c.MDM.Device.Name = or(c.MDM.Device.Name, c.Device.Name)
	c.MDM.Device.OSVersion = or(c.MDM.Device.OSVersion, c.Device.OSVersion)
	for _, h := range []**http.Client{&c.EKCert.HTTPClient, &c.AIK.HTTPClient, &c.DRS.HTTPClient, &c.Token.HTTPClient, &c.MDM.HTTPClient} {
		if *h == nil {
			*h = c.HTTPClient
		}
	}
	return &c
}

// clone returns a copy of *p, or of the zero value.
func clone[T ekcert.Client | aik.Client | drs.Client | mdm.Client | mdm.TokenClient](p *T) *T {
	if p == nil {
		return new(T)
	}
	c := *p
	return &c
}

func or(s, fallback string) string {
	if s == "" {
		return fallback
	}
	return s
}
