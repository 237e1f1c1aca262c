package provision

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"

	"github.com/whiteglove/whiteglove/attest"
	"github.com/whiteglove/whiteglove/mdm"
)

// enroll does StepEnroll: it trades the device certificate for a management token
// and enrolls the device with that, and with a proof of its keys if the policy asks
// for one.
func enroll(ctx context.Context, r *Run) (bool, error) {
	if r.State.enrolled() {
		return true, nil
	}
	token, err := r.managementToken(ctx)
	if err != nil {
		return false, err
	}
	c := r.management()
	d, err := r.services(ctx, c)
	if err != nil {
		return false, err
	}
	policy, err := c.Policy(ctx, d, token)
	if err != nil {
		return false, err
	}
	key, err := r.managementKey(ctx, policy.MinimalKeyLength)
	if err != nil {
		return false, err
	}
	req := &mdm.Request{Credential: token, Key: key.WithContext(ctx), Context: mdm.PreProvisioning(r.State.ZTDID)}
	if err := r.attestEnrollment(ctx, &enrollment{c, d, policy, key}, req); err != nil {
		return false, err
	}
	e, err := c.Enroll(ctx, d, policy, req)
	if err != nil {
		return false, err
	}
	return false, r.keepEnrollment(ctx, e, key)
}

// keepEnrollment stores an enrollment. Its document holds the account's secret,
// so it is encrypted to the transport key. The sessions of the same run take document and
// key from memory.
func (r *Run) keepEnrollment(ctx context.Context, e *mdm.Enrollment, key *attest.Key) error {
	box, err := sealToTPM(r.TransportKey, e.Document)
	if err != nil {
		return err
	}
	r.document, r.managed = e.Document, key
	return r.Commit(ctx, func(s *State) {
		s.ManagementCertificates = rawChain(append([]*x509.Certificate{e.Certificate}, e.Issuers...))
		s.ManagementServer, s.ManagementDocument = e.Server, box
	})
}

// management returns the client of the management server with the device's
// identifier set.
func (r *Run) management() *mdm.Client {
	c := *r.Provisioner.MDM
	c.Device.ID = r.State.DeviceID
	return &c
}

// managementToken trades the device certificate for a management token.
func (r *Run) managementToken(ctx context.Context) (mdm.Token, error) {
	cert, err := certificateOf(r.State.DeviceCertificate, r.DeviceKey)
	if err != nil {
		return "", err
	}
	client := r.tokenClient()
	req := &mdm.TokenRequest{Certificate: cert, DeviceKey: r.DeviceKey.WithContext(ctx)}
	if req.Nonce, err = r.takeNonce(ctx); err != nil {
		return "", err
	}
	token, err := client.Exchange(ctx, req)
	var refused *mdm.Error
	if req.Nonce == "" || !errors.As(err, &refused) || refused.OAuth == "" {
		return token, err
	}
	// It may be the nonce that the directory does not accept.
	r.debug("management token with the nonce from beside the join", "err", err)
	req.Nonce = ""
	return client.Exchange(ctx, req)
}

// tokenClient returns the client of the token service.
func (r *Run) tokenClient() *mdm.TokenClient {
	client := *r.Provisioner.Token
	if client.Endpoint == "" {
		client.Endpoint = r.Discovery.TokenEndpoint
	}
	return &client
}

// Templates of the key of the management certificate.
var (
	smallTemplate = attest.Template{Algorithm: attest.RSA2048, Usage: attest.Sign}
	largeTemplate = attest.Template{Algorithm: attest.RSA3072, Usage: attest.Sign}
)

// inManagementKey is the field of the key of the management certificate.
func inManagementKey(s *State) *string { return &s.ManagementKey }

// smallKey loads the key of the management certificate, or makes an RSA key of 2048 bits.
func (r *Run) smallKey(ctx context.Context) (*attest.Key, error) {
	return r.key(ctx, inManagementKey, smallTemplate, largeTemplate)
}

// managementKey returns the key of the management certificate, which is an RSA key with at
// least that many bits. It loads or makes the key, unless this run has it already. A
// shorter one, which was made before the policy was known, is replaced.
func (r *Run) managementKey(ctx context.Context, bits int) (*attest.Key, error) {
	if r.managed != nil {
		return r.managed, nil
	}
	if bits > 3072 && !r.Provisioner.MDM.ShortKeys {
		return nil, fmt.Errorf("the management server's policy requires an RSA key of %d bits, but TPMs make RSA keys of at most 3072 bits; "+
			"some servers do not insist, see MDM.ShortKeys", bits)
	}
	key, err := r.keyMadeEarly(ctx)
	if err != nil {
		return nil, err
	}
	if key == nil && (bits <= 2048 || r.State.ManagementKey != "") {
		if key, err = r.smallKey(ctx); err != nil {
			return nil, err
		}
	}
	if key != nil && (bits <= 2048 || key.Matches(largeTemplate)) {
		return key, nil
	}
	if key != nil {
		r.Provisioner.TPM.GiveUpSlot(key)
		if err := r.Commit(ctx, func(s *State) { s.ManagementKey = "" }); err != nil {
			return nil, err
		}
	}
	return r.key(ctx, inManagementKey, largeTemplate)
}
