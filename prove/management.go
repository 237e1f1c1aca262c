package prove

import (
	"context"
	"crypto/rsa"
	"crypto/x509"
	"fmt"

	"github.com/whiteglove/whiteglove/attest"
	"github.com/whiteglove/whiteglove/internal/wire"
	"github.com/whiteglove/whiteglove/mdm"
)

// EnrollAttestation returns the attestation of an enrollment in management
// (Request.Attestation of package mdm) with the management key: the attestation key's
// claim about it, made without a nonce, and that about the device key. A device key that
// is nil or no RSA key is left out, because [MS-MDE2] has no form for others. It uses
// TPM, AIK and AIKChain. AIK must be an RSA key.
//
// The error is that of [attest.TPM.Certify], or an [*attest.Error] if AIK is no RSA key.
//
// [MS-MDE2]: https://learn.microsoft.com/openspecs/windows_protocols/ms-mde2/
func (id *Identity) EnrollAttestation(ctx context.Context, key, device *attest.Key) (*mdm.Attestation, error) {
	a := &mdm.Attestation{AIK: rsaKey(id.AIK), AIKCertificate: id.aikCertificate(), DeviceKey: rsaKey(device)}
	if a.AIK == nil {
		return nil, failed(fmt.Errorf("the attestation key is %s: an enrollment needs an RSA key, such as RSA2048", wire.KeyKind(id.AIK.Public())))
	}
	if a.DeviceKey == nil {
		device = nil
	}
	own, other, err := id.certify(ctx, key, device, nil)
	if err != nil {
		return nil, err
	}
	if a.Claim, err = mdm.Claim(own); err != nil {
		return nil, failed(err)
	}
	if other == nil {
		return a, nil
	}
	if a.DeviceClaim, err = mdm.Claim(other); err != nil {
		return nil, failed(err)
	}
	return a, nil
}

// AzureEvidence returns what [mdm.Client.AttestAzure] proves of the management key and
// of the device key. A device key that is nil or no RSA key is left out. The attestation
// key certifies both when the request is sent. It uses TPM, AIK and AIKChain. AIK must
// be an RSA key. The management key signs the request without a context, unless
// [attest.Key.WithContext] gave it one.
func (id *Identity) AzureEvidence(key, device *attest.Key) *mdm.AzureEvidence {
	ev := &mdm.AzureEvidence{AIK: rsaKey(id.AIK), AIKCertificate: id.aikCertificate(), DeviceKey: rsaKey(device)}
	if ev.DeviceKey == nil {
		device = nil
	}
	if key != nil {
		ev.Key = key
	}
	ev.Certify = func(ctx context.Context, nonce []byte) (own, other *mdm.Statement, err error) {
		return id.certify(ctx, key, device, nonce)
	}
	return ev
}

// certify returns the attestation key's statements about the management key and about
// the device key, or nil for one if that is nil.
func (id *Identity) certify(ctx context.Context, key, device *attest.Key, nonce []byte) (own, other *mdm.Statement, err error) {
	s, err := id.TPM.Certify(ctx, key, id.AIK, nonce)
	if err != nil || device == nil {
		return (*mdm.Statement)(s), nil, err
	}
	d, err := id.TPM.Certify(ctx, device, id.AIK, nonce)
	return (*mdm.Statement)(s), (*mdm.Statement)(d), err
}

// aikCertificate returns the attestation key's certificate, or nil.
func (id *Identity) aikCertificate() *x509.Certificate {
	if len(id.AIKChain) == 0 {
		return nil
	}
	return id.AIKChain[0]
}

// rsaKey returns the public part of a key, or nil if that is no RSA key.
func rsaKey(key *attest.Key) *rsa.PublicKey {
	pub, _ := key.Public().(*rsa.PublicKey)
	return pub
}

func failed(err error) error { return &attest.Error{Op: "EnrollAttestation", Err: err} }
