package whiteglove

import (
	"context"
	"fmt"

	"github.com/whiteglove/whiteglove/attest"
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
		Context: r.enrollmentContext(),
	})
	if err != nil {
		return false, err
	}
	r.state.ManagementCertificates = append([][]byte{e.Certificate}, e.Issuers...)
	r.state.ManagementServer = e.Server
	return false, nil
}

// enrollmentContext says that this is pre-provisioning.
func (r *run) enrollmentContext() []mdm.Item {
	var items []mdm.Item
	if r.state.ZTDID != "" {
		items = append(items, mdm.Item{Name: mdm.ItemZeroTouch, Value: r.state.ZTDID})
	}
	return append(items, mdm.Item{Name: mdm.ItemWhiteGlove, Value: "true"}, mdm.Item{Name: mdm.ItemNotInOOBE, Value: "false"})
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
