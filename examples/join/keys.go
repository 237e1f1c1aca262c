package main

import (
	"context"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"

	"github.com/whiteglove/whiteglove/aik"
	"github.com/whiteglove/whiteglove/attest"
	"github.com/whiteglove/whiteglove/attest/attesttest"
	"github.com/whiteglove/whiteglove/drs"
	"github.com/whiteglove/whiteglove/ekcert"
	"github.com/whiteglove/whiteglove/examples/internal/device"
	"github.com/whiteglove/whiteglove/provision/provisiontest"
)

// key loads the key that is kept under a name, or makes one and keeps it.
func (d *joiner) key(ctx context.Context, name string, usage attest.Usage) (*attest.Key, error) {
	text, err := d.store.get(name)
	if err == nil {
		return d.tpm.LoadKey(ctx, text)
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

// identity finds the endorsement key, and has an attestation key certified
// unless that is done.
func (d *joiner) identity(ctx context.Context) error {
	if d.aik != nil {
		return nil
	}
	if err := d.findEK(ctx); err != nil {
		return err
	}
	key, err := d.key(ctx, fileAIKKey, attest.Attest)
	if err != nil {
		return err
	}
	if d.aikChain, err = d.certificates(fileAIK); err == nil {
		d.aik = key
		return nil
	}
	if !errors.Is(err, errMissing) {
		return err
	}
	client := &aik.Client{URL: d.services.url + provisiontest.AIKPath, Roots: d.services.roots, HTTPClient: d.services.client}
	d.aikChain, err = client.Enroll(ctx, &aik.Request{
		EK: d.ek.Public, EKChain: d.ekChain, AIKCreation: key.Creation(),
		Activate: d.tpm.Activator(d.ek, key),
	})
	if err != nil {
		return err
	}
	d.aik = key
	return d.keep(fileAIK, d.aikChain...)
}

// findEK finds the first endorsement key with a certificate.
func (d *joiner) findEK(ctx context.Context) error {
	client := &ekcert.Client{Roots: ekcert.Roots{attesttest.Vendor: attesttest.Roots()}, HTTPClient: d.services.client}
	for ek, err := range d.tpm.EKs(ctx) {
		if err != nil {
			return err
		}
		cert, err := client.Find(ctx, d.tpm, "", ek.Public)
		if errors.Is(err, ekcert.ErrNotFound) {
			continue
		}
		if err != nil {
			return err
		}
		report, err := client.Verify(ctx, cert, ek.Public)
		if err != nil {
			return err
		}
		d.ek, d.ekChain = ek, report.Chain
		return nil
	}
	return errors.New("no endorsement key of this TPM has a certificate in it")
}

// request returns a join with two keys that the attestation key certifies.
func (d *joiner) request(dk, tk *attest.Key, nonce []byte) (*drs.Request, error) {
	pub, ok := tk.Public().(*rsa.PublicKey)
	if !ok {
		return nil, fmt.Errorf("the transport key is %T", tk.Public())
	}
	certify := func(ctx context.Context, usage string, data []byte) (*drs.Statement, error) {
		key := dk
		if usage == drs.UsageTransport {
			key = tk
		}
		s, err := d.tpm.Certify(ctx, key, d.aik, data)
		return (*drs.Statement)(s), err
	}
	return &drs.Request{
		DeviceKey: dk, TransportKey: pub, DisplayName: "example", OSVersion: "10.0.26100.1",
		Attestation: &drs.Attestation{AIKPublicArea: d.aik.PublicArea(), AIKChain: d.aikChain, Nonce: nonce, Certify: certify},
	}, nil
}

// keep keeps certificates.
func (d *joiner) keep(name string, certs ...*x509.Certificate) error {
	var ders [][]byte
	for _, c := range certs {
		ders = append(ders, c.Raw)
	}
	return d.store.put(name, device.EncodeCertificates(ders...))
}

// certificates reads certificates that were kept.
func (d *joiner) certificates(name string) ([]*x509.Certificate, error) {
	text, err := d.store.get(name)
	if err != nil {
		return nil, err
	}
	var out []*x509.Certificate
	for b, rest := pem.Decode(text); b != nil; b, rest = pem.Decode(rest) {
		cert, err := x509.ParseCertificate(b.Bytes)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		out = append(out, cert)
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("%s: no certificate in it", name)
	}
	return out, nil
}

// joined returns the device as its certificate has it.
func (d *joiner) joined() (*drs.Device, error) {
	certs, err := d.certificates(fileDevice)
	if err != nil {
		return nil, err
	}
	return drs.ParseDevice(certs[0])
}
