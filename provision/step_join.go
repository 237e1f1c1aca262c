package provision

import (
	"context"
	"crypto/rsa"
	"fmt"

	"github.com/whiteglove/whiteglove/attest"
	"github.com/whiteglove/whiteglove/drs"
)

// join does StepJoin. If the answer to an earlier join was lost, the run joins
// again with the same keys, and the directory recognizes the same device.
func join(ctx context.Context, r *Run) (bool, error) {
	if r.State.joined() {
		_, err := certificateOf(r.State.DeviceCertificate, r.DeviceKey)
		return true, err
	}
	req, err := r.joinRequest(ctx, r.DeviceKey, r.TransportKey, r.Token.Nonce)
	if err != nil {
		return false, err
	}
	req.SetToken(r.Token)
	dev, err := r.Provisioner.DRS.Join(ctx, r.Discovery, req)
	if err != nil {
		return false, err
	}
	if r.Profile != nil {
		r.checkProfile(ctx, "device identifier", dev.ID, r.Profile.DeviceID)
		r.checkProfile(ctx, "tenant", dev.TenantID, r.Profile.TenantID)
	}
	return false, r.Commit(ctx, func(s *State) {
		s.DeviceID, s.TenantID, s.DeviceCertificate = dev.ID, dev.TenantID, dev.Certificate.Raw
	})
}

// joinRequest returns the request of a join with two keys, which the attestation
// key certifies for nonce. If nonce is empty, it asks the service for one.
func (r *Run) joinRequest(ctx context.Context, device, transport *attest.Key, nonce []byte) (*drs.Request, error) {
	p := r.Provisioner
	public, ok := transport.Public().(*rsa.PublicKey)
	if !ok {
		return nil, fmt.Errorf("%w: the transport key is not an RSA key", ErrState)
	}
	req := &drs.Request{
		DeviceKey: device.WithContext(ctx), TransportKey: public,
		DisplayName: p.Device.Name, DeviceType: p.Device.Type, OSVersion: p.Device.OSVersion,
	}
	if len(nonce) == 0 {
		text, err := p.DRS.Nonce(ctx, r.Discovery)
		if err != nil {
			return nil, err
		}
		req.Nonce, nonce = text, []byte(text)
	}
	keys := map[string]*attest.Key{drs.UsageDevice: device, drs.UsageTransport: transport}
	req.Attestation = &drs.Attestation{
		AIKPublicArea: r.AIK.PublicArea(), AIKChain: r.AIKChain, Nonce: nonce,
		Certify: func(ctx context.Context, usage string, qualifyingData []byte) (*drs.Statement, error) {
			key, ok := keys[usage]
			if !ok {
				return nil, fmt.Errorf("there is no key for usage %q", usage)
			}
			s, err := p.TPM.Certify(ctx, key, r.AIK, qualifyingData)
			return (*drs.Statement)(s), err
		},
	}
	return req, nil
}
