package main

import (
	"context"
	"crypto/rsa"
	"crypto/x509"
	"errors"
	"fmt"

	"github.com/whiteglove/whiteglove/aik"
	"github.com/whiteglove/whiteglove/attest"
	"github.com/whiteglove/whiteglove/attest/attesttest"
	"github.com/whiteglove/whiteglove/drs"
	"github.com/whiteglove/whiteglove/ekcert"
	"github.com/whiteglove/whiteglove/examples/internal/command"
	"github.com/whiteglove/whiteglove/examples/internal/device"
	"github.com/whiteglove/whiteglove/internal/plain"
	"github.com/whiteglove/whiteglove/prove"
	"github.com/whiteglove/whiteglove/provision/provisiontest"
)

// key loads the key that is kept under a name. If there is none, it makes one and
// keeps that.
func (d *joiner) key(ctx context.Context, name string, usage attest.Usage) (*attest.Key, error) {
	text, err := d.store.get(name)
	if err == nil {
		key, err := d.tpm.LoadKey(ctx, text)
		return key, device.Kept(d.store.path(name), err, "take all steps again with another -out")
	}
	if !errors.Is(err, errMissing) {
		return nil, err
	}
	key, err := d.tpm.CreateKey(ctx, attest.Template{Usage: usage})
	if err != nil {
		return nil, err
	}
	if text, err = key.MarshalText(); err != nil {
		return nil, err
	}
	return key, d.store.put(name, text)
}

// keys loads or makes the device key and the transport key.
func (d *joiner) keys(ctx context.Context) (device, transport *attest.Key, err error) {
	if device, err = d.key(ctx, fileDeviceKey, attest.Sign); err != nil {
		return nil, nil, err
	}
	transport, err = d.key(ctx, fileTransportKey, attest.Decrypt)
	return device, transport, err
}

// identity finds an endorsement key with a certificate, verifies that, and finds an
// attestation key with a certificate. If none is kept, it obtains one from the
// attestation CA.
func (d *joiner) identity(ctx context.Context) error {
	if d.id.AIKChain != nil {
		return nil
	}
	makers := &ekcert.Client{Roots: ekcert.Roots{attesttest.Vendor: attesttest.Roots()}, HTTPClient: d.client.HTTPClient}
	ek, cert, err := prove.FindEK(ctx, d.tpm, makers, "")
	if err != nil {
		return err
	}
	report, err := makers.Verify(ctx, cert, ek.Public)
	if err != nil {
		return err
	}
	d.id.EK, d.id.EKChain = ek, report.Chain
	if d.id.AIK, err = d.key(ctx, fileAIKKey, attest.Attest); err != nil {
		return err
	}
	if d.id.AIKChain, err = d.certificates(fileAIK); !errors.Is(err, errMissing) {
		return err
	}
	client := &aik.Client{URL: d.services.URL + provisiontest.AIKPath, Roots: d.services.Roots, HTTPClient: d.client.HTTPClient}
	if d.id.AIKChain, err = client.Enroll(ctx, d.id.AIKRequest()); err != nil {
		return err
	}
	return d.keepCertificates(fileAIK, d.id.AIKChain...)
}

// request returns a request to join with a device key and a transport key.
func (d *joiner) request(dk, tk *attest.Key) (*drs.Request, error) {
	pub, ok := tk.Public().(*rsa.PublicKey)
	if !ok {
		return nil, fmt.Errorf("the transport key in %s is no RSA key: remove %s, and a new one is made", d.out, fileTransportKey)
	}
	return &drs.Request{DeviceKey: dk, TransportKey: pub, DisplayName: "example", OSVersion: "10.0.26100.1"}, nil
}

// attest adds to a request with a token the attestation key's statements about both keys,
// if the directory asks for them. They are made for the nonce; if that is empty, the
// directory is asked for one.
func (d *joiner) attest(ctx context.Context, req *drs.Request, dk, tk *attest.Key, nonce []byte) error {
	if drs.FormDefault.For(d.discovery) == drs.FormNone {
		return nil
	}
	if err := d.identity(ctx); err != nil {
		return err
	}
	if len(nonce) == 0 {
		text, err := d.client.Nonce(ctx, d.discovery, req)
		if err != nil {
			return err
		}
		req.Nonce, nonce = text, []byte(text)
	}
	req.Attestation = d.id.JoinAttestation(dk, tk, nonce)
	return nil
}

// keepCertificates keeps certificates under a name.
func (d *joiner) keepCertificates(name string, certs ...*x509.Certificate) error {
	return d.store.put(name, command.EncodeCertificates(certs...))
}

// certificates returns the certificates that are kept under a name.
func (d *joiner) certificates(name string) ([]*x509.Certificate, error) {
	text, err := d.store.get(name)
	if err != nil {
		return nil, err
	}
	certs, err := command.ParseCertificates(name, text)
	if err != nil {
		err = plain.Because(err, "%s is empty or damaged: remove it, and take the step that writes it again, with the same -out", d.store.path(name))
	}
	return certs, err
}

// joined returns the device that the certificate of the join names.
func (d *joiner) joined() (*drs.Device, error) {
	certs, err := d.certificates(fileDevice)
	if err != nil {
		return nil, err
	}
	return drs.ParseDevice(certs[0])
}
