package provision

import (
	"context"
	"crypto/rsa"
	"crypto/x509"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/whiteglove/whiteglove/attest"
	"github.com/whiteglove/whiteglove/drs"
)

// discover does StepDiscover: it finds the tenant's services. Every run that
// still needs them asks again, because they may change.
func discover(ctx context.Context, r *Run) (bool, error) {
	if !r.needsDirectory() {
		return true, nil
	}
	var err error
	r.Discovery, err = r.Provisioner.DRS.Discover(ctx, r.Provisioner.Tenant)
	return false, err
}

// checkTenant returns an error that wraps [drs.ErrTenant] if the tenant that
// discovery names is not the one that the device joined in an earlier run.
func (r *Run) checkTenant() error {
	if r.Discovery == nil || r.Discovery.TenantID == "" || r.State.TenantID == "" || strings.EqualFold(r.Discovery.TenantID, r.State.TenantID) {
		return nil
	}
	return fmt.Errorf("%w: discovery names %s, but the device joined %s", drs.ErrTenant, r.Discovery.TenantID, r.State.TenantID)
}

// needsDirectory reports whether the run still needs the tenant's services.
func (r *Run) needsDirectory() bool {
	return !r.State.joined() || r.takes(StepEnroll, StepSeal, StepRejoin, StepSignIn, StepOwner)
}

// authenticate does StepToken: it gets the token that authorizes the join. The
// token is not stored.
func authenticate(ctx context.Context, r *Run) (bool, error) {
	if r.State.joined() {
		return true, nil
	}
	source := r.Provisioner.JoinToken
	if source == nil {
		source = &drs.Prover{Client: r.Provisioner.DRS, Proof: &drs.Proof{
			EK: r.EK.Public, EKPublicArea: r.EK.PublicArea, EKChain: r.EKChain,
			AIKPublicArea: r.AIK.PublicArea(), AIKChain: r.AIKChain,
			Activate: r.activate,
		}}
	}
	token, err := source.JoinToken(ctx, r.Discovery)
	if err != nil {
		return false, err
	}
	r.Token = token
	return false, r.Commit(ctx, func(s *State) { s.ZTDID = token.ZTDID })
}

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

// certificateOf parses a device certificate of the stored state. The error wraps
// ErrState if the certificate is not for key.
func certificateOf(der []byte, key *attest.Key) (*x509.Certificate, error) {
	chain, err := parseChain([][]byte{der})
	if err != nil {
		return nil, err
	}
	if !samePublic(chain[0].PublicKey, key.Public()) {
		return nil, fmt.Errorf("%w: the device certificate is for another key", ErrState)
	}
	return chain[0], nil
}

// seal does StepSeal: the device leaves the tenant. If the directory does not
// know the device, an earlier run has left and the answer was lost.
func seal(ctx context.Context, r *Run) (bool, error) {
	if r.State.sealed() {
		return true, nil
	}
	cert, err := certificateOf(r.State.DeviceCertificate, r.DeviceKey)
	if err != nil {
		return false, err
	}
	dev, err := drs.ParseDevice(cert)
	if err != nil {
		return false, fmt.Errorf("%w: %w", ErrState, err)
	}
	err = r.Provisioner.DRS.Leave(ctx, r.Discovery, dev, r.DeviceKey.WithContext(ctx))
	if errors.Is(err, drs.ErrGone) {
		r.Warn(ctx, "the directory does not know the device: it left in an earlier run, or somebody deleted it")
	} else if err != nil {
		return false, err
	}
	return false, r.Commit(ctx, func(s *State) { s.Sealed = r.Provisioner.Now().UTC().Truncate(time.Second) })
}
