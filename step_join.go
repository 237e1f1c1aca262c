package whiteglove

import (
	"context"
	"crypto/rsa"
	"crypto/x509"
	"errors"
	"fmt"
	"time"

	"github.com/whiteglove/whiteglove/attest"
	"github.com/whiteglove/whiteglove/drs"
)

// discover finds the tenant's services. It is done in every run that has
// something left to do with them: what they are may change.
func (r *run) discover(ctx context.Context) (bool, error) {
	if r.enrolled() && !r.toSeal() {
		return true, nil
	}
	var err error
	r.discovery, err = r.DRS.Discover(ctx, r.Tenant)
	return false, err
}

// joined reports whether the device is in the tenant.
func (r *run) joined() bool { return len(r.state.DeviceCertificate) > 0 }

// enrolled reports whether nothing is left to do.
func (r *run) enrolled() bool { return r.joined() && len(r.state.ManagementCertificates) > 0 }

// authenticate gets the token for the join. It is never stored.
func (r *run) authenticate(ctx context.Context) (bool, error) {
	if r.joined() {
		return true, nil
	}
	var err error
	r.token, err = r.DRS.Authenticate(ctx, r.discovery, &drs.Proof{
		EK: r.ek.Public, EKArea: r.ek.Area, EKChain: r.ekChain,
		AIKArea: r.aik.Area(), AIKChain: r.aikChain,
		Activate: r.activateBytes,
	})
	if err == nil {
		r.state.ZTDID = r.token.ZTDID
	}
	return false, err
}

// join joins the tenant. One whose answer was lost is done again with the same
// keys, which the directory takes as the same device.
func (r *run) join(ctx context.Context) (bool, error) {
	if r.joined() {
		return true, r.checkJoined()
	}
	transport, ok := r.transport.Public().(*rsa.PublicKey)
	if !ok {
		return false, fmt.Errorf("%w: the transport key is no RSA key", ErrState)
	}
	dev, err := r.DRS.Join(ctx, r.discovery, &drs.Request{
		Ticket: r.token.Token, DeviceKey: r.device, TransportKey: transport,
		Attestation: &drs.Attestation{AIK: r.aik.Area(), AIKChain: r.aikChain, Nonce: r.token.Nonce, Certify: r.certify},
		DisplayName: r.Device.Name, DeviceType: r.Device.Type, OSVersion: r.Device.OSVersion,
	})
	if err != nil {
		return false, err
	}
	r.state.DeviceID, r.state.TenantID = dev.ID, dev.TenantID
	r.state.DeviceCertificate = dev.Certificate.Raw
	return false, nil
}

// certify has the attestation key certify a key of the join.
func (r *run) certify(ctx context.Context, usage string, qualifyingData []byte) (*drs.Statement, error) {
	keys := map[string]*attest.Key{drs.UsageDevice: r.device, drs.UsageTransport: r.transport}
	key, ok := keys[usage]
	if !ok {
		return nil, fmt.Errorf("no key is for %q", usage)
	}
	s, err := r.TPM.Certify(ctx, key, r.aik, qualifyingData)
	if err != nil {
		return nil, err
	}
	return &drs.Statement{Public: s.Area, Attest: s.Attest, Signature: s.Signature, Creation: s.Creation}, nil
}

// deviceCertificate returns the certificate of the join.
func (r *run) deviceCertificate() (*x509.Certificate, error) {
	chain, err := parseChain([][]byte{r.state.DeviceCertificate})
	if err != nil {
		return nil, err
	}
	return chain[0], nil
}

func (r *run) checkJoined() error {
	cert, err := r.deviceCertificate()
	if err != nil {
		return err
	}
	if !samePublic(cert.PublicKey, r.device.Public()) {
		return fmt.Errorf("%w: the device key and its certificate do not belong together", ErrState)
	}
	return nil
}

// toSeal reports whether the device is still to leave the tenant.
func (r *run) toSeal() bool { return r.Seal && r.state.Sealed.IsZero() }

// seal takes the device out of the tenant. A device that the directory no longer
// knows has left: the answer that said so was lost.
func (r *run) seal(ctx context.Context) (bool, error) {
	if !r.toSeal() {
		return true, nil
	}
	cert, err := r.deviceCertificate()
	if err != nil {
		return false, err
	}
	dev, err := drs.ParseDevice(cert)
	if err != nil {
		return false, fmt.Errorf("%w: %w", ErrState, err)
	}
	if err := r.DRS.Leave(ctx, r.discovery, dev, r.device); err != nil && !errors.Is(err, drs.ErrGone) {
		return false, err
	}
	r.state.Sealed = r.Now().UTC().Truncate(time.Second)
	return false, nil
}
