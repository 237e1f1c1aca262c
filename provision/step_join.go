package provision

import (
	"context"
	"crypto"
	"crypto/rsa"
	"errors"
	"fmt"
	"io"
	"net/http"

	"github.com/whiteglove/whiteglove/attest"
	"github.com/whiteglove/whiteglove/drs"
	"github.com/whiteglove/whiteglove/internal/wire"
)

// join does StepJoin. If the answer to an earlier join was lost, the run joins
// again with the same keys, and the directory recognizes the same device.
func join(ctx context.Context, r *Run) (bool, error) {
	if r.State.joined() {
		_, err := certificateOf(r.State.DeviceCertificate, r.DeviceKey)
		return true, err
	}
	req, err := r.joinRequest(ctx, r.DeviceKey, r.TransportKey)
	if err != nil {
		return false, err
	}
	req.DeviceToken = r.Token
	if err := r.attest(ctx, req, r.DeviceKey, r.TransportKey, r.Token.Nonce); err != nil {
		return false, err
	}
	r.afterSigning(req, func() {
		r.Provisioner.TPM.GiveUpSlot(r.AIK) // from here on other keys sign
		r.Provisioner.TPM.GiveUpSlot(r.TransportKey)
		r.makeKeyEarly()
		r.fetchNonceEarly()
	})
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
		s.JoinServer = r.Discovery.JoinEndpoint
	})
}

// afterSigning has f called when the TPM has signed all that is in a join's request.
// That is the statement about the transport key or, without statements, the certificate
// request.
func (r *Run) afterSigning(req *drs.Request, f func()) {
	a := req.Attestation
	if a == nil {
		req.DeviceKey = &signed{req.DeviceKey, f}
		return
	}
	certify := a.Certify
	a.Certify = func(ctx context.Context, usage string, qualifyingData []byte) (*drs.Statement, error) {
		s, err := certify(ctx, usage, qualifyingData)
		if usage == drs.UsageTransport && err == nil {
			f()
		}
		return s, err
	}
}

// A signed key calls a function when it has signed.
type signed struct {
	crypto.Signer
	then func()
}

// Sign implements [crypto.Signer].
func (s *signed) Sign(random io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	signature, err := s.Signer.Sign(random, digest, opts)
	if err == nil {
		s.then()
	}
	return signature, err
}

// joinRequest returns the request of a join with two keys.
func (r *Run) joinRequest(ctx context.Context, device, transport *attest.Key) (*drs.Request, error) {
	p := r.Provisioner
	public, ok := transport.Public().(*rsa.PublicKey)
	if !ok {
		return nil, fmt.Errorf("%w: the transport key is %s, and not an RSA key", ErrState, wire.KeyKind(transport.Public()))
	}
	return &drs.Request{
		DeviceKey: device.WithContext(ctx), TransportKey: public,
		DisplayName: p.Device.Name, DeviceType: p.Device.Type, OSVersion: p.Device.OSVersion,
	}, nil
}

// attest adds to a request with a token the attestation key's statements about the two
// keys, if the service gets them; see Provisioner.Attestation. They are made for nonce. If
// that is empty, attest asks the service for one, which then is in the certificate
// request, too.
func (r *Run) attest(ctx context.Context, req *drs.Request, device, transport *attest.Key, nonce []byte) error {
	p := r.Provisioner
	form := p.Attestation.For(r.Discovery)
	if form == drs.FormNone {
		return nil
	}
	if len(nonce) == 0 {
		text, err := p.DRS.Nonce(ctx, r.Discovery, req)
		switch {
		case refused(err) && p.Attestation == drs.FormDefault:
			r.Warn(ctx, "the join has no attestation, because the registration service gives no nonce for one: %v", err)
			return nil
		case refused(err):
			// The caller chose the form, so the statements are made without a nonce.
		case err != nil:
			return err
		default:
			req.Nonce, nonce = text, []byte(text)
		}
	}
	req.Attestation = r.identity().JoinAttestation(device, transport, nonce)
	req.Attestation.Form = form
	return nil
}

// refused reports whether a service refused a request, and would refuse it again.
func refused(err error) bool {
	var e *drs.Error
	return errors.As(err, &e) && e.HTTPStatus >= http.StatusBadRequest && !e.Retryable()
}
