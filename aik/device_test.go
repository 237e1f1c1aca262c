package aik_test

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

	"github.com/google/go-tpm/tpm2/transport"

	"github.com/whiteglove/whiteglove/aik"
	"github.com/whiteglove/whiteglove/aik/aiktest"
	"github.com/whiteglove/whiteglove/attest"
	"github.com/whiteglove/whiteglove/attest/attesttest"
	"github.com/whiteglove/whiteglove/ekcert"
)

// A device is an emulated TPM with an attestation key.
type device struct {
	*aik.Request
	tpm *attest.TPM
	ek  *attest.EK
	key *attest.Key
}

// activate opens a challenge.
func (d *device) activate(ctx context.Context, c *attest.Credential) ([]byte, error) {
	return d.tpm.ActivateCredential(ctx, d.ek, d.key, c)
}

// newDevice returns a device whose endorsement key is of the type of ek.
func newDevice(t testing.TB, ek func(crypto.PublicKey) bool, template attest.Template) *device {
	t.Helper()
	emulator, err := attesttest.New(attesttest.Config{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { emulator.Close() })
	return deviceOn(t, emulator, ek, template)
}

// deviceOn is newDevice for a TPM of the same maker.
func deviceOn(t testing.TB, tpm transport.TPM, ek func(crypto.PublicKey) bool, template attest.Template) *device {
	t.Helper()
	d := &device{tpm: &attest.TPM{Transport: tpm}, Request: new(aik.Request)}
	for k, err := range d.tpm.EKs(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		if ek(k.Public) {
			d.ek, d.EK = k, k.Public
			break
		}
	}
	if d.ek == nil {
		t.Fatal("no such endorsement key")
	}
	cert, err := attesttest.EKCertificate(d.EK)
	if err != nil {
		t.Fatal(err)
	}
	d.EKChain = append([]*x509.Certificate{cert}, attesttest.Certificates()...)
	if d.key, err = d.tpm.CreateKey(t.Context(), template); err != nil {
		t.Fatal(err)
	}
	d.AIKCreation = d.key.Creation()
	d.Activate = func(ctx context.Context, blob, encryptedSecret []byte) ([]byte, error) {
		return d.activate(ctx, &attest.Credential{Blob: blob, EncryptedSecret: encryptedSecret}) // a test may make another key
	}
	if d.Signer, err = signer(); err != nil {
		t.Fatal(err)
	}
	return d
}

// signer is the key of the SCEP messages where nothing hangs on its being new.
var signer = sync.OnceValues(func() (*rsa.PrivateKey, error) { return rsa.GenerateKey(rand.Reader, 2048) })

func isRSA(k crypto.PublicKey) bool { _, ok := k.(*rsa.PublicKey); return ok }

var rsaAIK = attest.Template{Usage: attest.Attest}

// newServer returns an attestation CA for the emulator's maker.
func newServer() *aiktest.Server {
	return &aiktest.Server{
		Makers:  attesttest.Certificates(),
		EKRoots: ekcert.Roots{attesttest.Vendor: attesttest.Roots()},
	}
}

// server is one that all tests share that do nothing wrong, for speed.
var server = sync.OnceValue(newServer)

// start runs a server and returns a client for it.
func start(t testing.TB, h http.Handler, roots *x509.CertPool) *aik.Client {
	t.Helper()
	srv := httptest.NewServer(h)
	t.Cleanup(srv.Close)
	return &aik.Client{URL: srv.URL + "/{authority}/templates/Aik/scep", Roots: roots}
}

// isCurve returns what finds an ECDSA key of a size.
func isCurve(bits int) func(crypto.PublicKey) bool {
	return func(k crypto.PublicKey) bool {
		p, ok := k.(*ecdsa.PublicKey)
		return ok && p.Curve.Params().BitSize == bits
	}
}
