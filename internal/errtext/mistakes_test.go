package errtext_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/x509"
	"strings"
	"testing"

	"github.com/whiteglove/whiteglove/attest"
	"github.com/whiteglove/whiteglove/attest/attesttest"
	"github.com/whiteglove/whiteglove/diagnose"
	"github.com/whiteglove/whiteglove/drs"
	"github.com/whiteglove/whiteglove/drs/login"
	"github.com/whiteglove/whiteglove/internal/misuse"
	"github.com/whiteglove/whiteglove/mdm"
	"github.com/whiteglove/whiteglove/provision"
	"github.com/whiteglove/whiteglove/scep"
	"github.com/whiteglove/whiteglove/verify"
)

// What the calling program does wrong is said as that, by all packages.
func TestMistakes(t *testing.T) {
	ctx := t.Context()
	key := rsaKey(t)
	p384, err := ecdsa.GenerateKey(elliptic.P384(), nil)
	if err != nil {
		t.Fatal(err)
	}
	csr, err := scep.NewCSR(new(x509.CertificateRequest), key, "")
	if err != nil {
		t.Fatal(err)
	}
	s, ca := &scep.Client{URL: "https://127.0.0.1:1"}, new(scep.CA)
	d := &drs.Discovery{JoinEndpoint: "https://127.0.0.1:1"}
	directory := new(drs.Client)
	req := &drs.Request{UserToken: "token", DeviceKey: key, TransportKey: &key.PublicKey}
	cert := &x509.Certificate{PublicKey: &key.PublicKey}
	for name, call := range map[string]struct {
		call func() error
		want string
	}{
		"scep URL": {func() error { _, err := new(scep.Client).CA(ctx, ""); return err }, "is not an absolute URL"},
		"empty pool": {func() error {
			_, err := (&scep.Client{URL: "https://127.0.0.1:1", Roots: x509.NewCertPool()}).CA(ctx, "")
			return err
		}, "an empty pool"},
		"closed TPM": {func() error {
			chip, err := attesttest.New(attesttest.Config{})
			if err != nil {
				return err
			}
			if err := chip.Close(); err != nil {
				return err
			}
			_, err = (&attest.TPM{Transport: chip}).CreateKey(ctx, attest.Template{Usage: attest.Attest})
			return err
		}, "TPM is closed"},
		"key of another TPM value": {func() error {
			chip, err := attesttest.New(attesttest.Config{FastKeys: true})
			if err != nil {
				return err
			}
			defer chip.Close()
			k, err := (&attest.TPM{Transport: chip}).CreateKey(ctx, attest.Template{Usage: attest.Attest})
			if err != nil {
				return err
			}
			_, err = (&attest.TPM{Transport: chip}).Quote(ctx, k, nil, crypto.SHA256, 0)
			return err
		}, "with another attest.TPM"},
		"no template": {func() error { _, err := scep.NewCSR(nil, key, ""); return err }, "template is nil"},
		"no key":      {func() error { _, err := scep.NewCSR(new(x509.CertificateRequest), nil, ""); return err }, "key is nil"},
		"no CA":       {func() error { _, err := s.Enroll(ctx, nil, &scep.Request{CSR: csr, Signer: key}); return err }, "no CA"},
		"no CSR":      {func() error { _, err := s.Enroll(ctx, ca, &scep.Request{Signer: key}); return err }, "Request.CSR is not set"},
		"junk CSR":    {func() error { _, err := s.Enroll(ctx, ca, &scep.Request{CSR: []byte("x"), Signer: key}); return err }, "invalid request: Request.CSR is no PKCS #10 request in DER"},
		"EC signer": {func() error {
			_, err := s.Enroll(ctx, ca, &scep.Request{CSR: csr, Signer: p384, Decrypter: key})
			return err
		}, "SCEP messages need an RSA key"},
		"no reply":   {func() error { _, err := s.Poll(ctx, ca, &scep.Request{CSR: csr, Signer: key}, nil); return err }, "no reply"},
		"no request": {func() error { _, err := directory.Join(ctx, d, nil); return err }, "the request is nil"},
		"no token": {func() error {
			_, err := directory.Join(ctx, d, &drs.Request{DeviceKey: key, TransportKey: &key.PublicKey})
			return err
		}, "the request has neither a token nor a ticket nor a proof"},
		"no GUID":       {func() error { _, err := directory.Rejoin(ctx, d, "nope", req); return err }, `the device's identifier "nope" is not a GUID`},
		"no user token": {func() error { _, err := directory.Rejoin(ctx, d, "nope", nil); return err }, "the request has no user's token"},
		"other key": {func() error {
			return directory.Leave(ctx, d, &drs.Device{ID: "3f0d6c1e-52a4-4b8e-9a57-1c2d7be04f69", Certificate: cert}, rsaKey(t))
		}, "the key is not that of the device's certificate"},
		"no device":      {func() error { return directory.Leave(ctx, d, nil, key) }, "no device"},
		"no discovery":   {func() error { _, err := new(login.Client).Password(ctx, nil, "ada", "x"); return err }, "no discovery: get one by drs.Client.Discover"},
		"mdm":            {func() error { _, err := new(mdm.Client).Policy(ctx, nil, nil); return err }, "no discovery"},
		"no EKs":         {func() error { _, err := new(verify.Verifier).Challenge(ctx, nil); return err }, "the Verifier has no EKs"},
		"no such device": {func() error { _, err := new(verify.Verifier).Request(ctx, nil); return err }, "no device"},
		"no TPM": {func() error {
			_, err := (*attest.TPM)(nil).CreateKey(ctx, attest.Template{Usage: attest.Attest})
			return err
		}, "TPM.Transport is not set (or the TPM is nil): use attest.Open"},
		"no transport": {func() error { _, err := new(attest.TPM).Info(ctx); return err }, "TPM.Transport is not set"},
		"no usage":     {func() error { _, err := new(attest.TPM).CreateKey(ctx, attest.Template{}); return err }, "no usage is given"},
		"no tenant":    {func() error { _, err := new(provision.Provisioner).Run(ctx); return err }, "Provisioner.TPM is not set"},
	} {
		d := diagnose.Explain(call.call())
		if got := d.String(); d.HRESULT != misuse.InvalidParameter || d.Retryable || !strings.HasSuffix(got, ". "+misuse.Remedy) {
			t.Errorf("%s: %s", name, got)
		} else if !strings.Contains(got, call.want) {
			t.Errorf("%s: %s, want %s", name, got, call.want)
		}
	}
}
