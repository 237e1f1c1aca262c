package drstest_test

import (
	"context"
	"crypto"
	"crypto/rsa"
	"crypto/x509"
	"errors"
	"os"
	"testing"
	"time"

	"github.com/google/go-tpm/tpm2/transport"

	"github.com/whiteglove/whiteglove/attest"
	"github.com/whiteglove/whiteglove/attest/attesttest"
	"github.com/whiteglove/whiteglove/drs"
	"github.com/whiteglove/whiteglove/ekcert"
)

// A chip is a device whose keys are in an emulated TPM.
type chip struct {
	tpm     *attest.TPM
	ek      *attest.EK
	aik     *attest.Key
	dk, tk  *attest.Key
	ekChain []*x509.Certificate
}

// emulated returns an emulated TPM with a seed.
func emulated(t *testing.T, seed string) *attesttest.TPM {
	t.Helper()
	emulator, err := attesttest.New(attesttest.Config{Seed: seed})
	if err != nil {
		t.Fatal(err)
	}
	return emulator
}

func newChip(t *testing.T, tr transport.TPMCloser) *chip {
	t.Helper()
	c := &chip{tpm: &attest.TPM{Transport: tr}}
	t.Cleanup(func() { tr.Close() })
	for ek, err := range c.tpm.EKs(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		c.ek = ek
		break
	}
	nv, err := c.tpm.ReadNV(t.Context(), c.ek.CertificateIndex)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := ekcert.Parse(nv)
	if err != nil {
		t.Fatal(err)
	}
	c.ekChain = append([]*x509.Certificate{cert.Certificate}, attesttest.Certificates()...)
	for key, usage := range map[**attest.Key]attest.Usage{&c.aik: attest.Attest, &c.dk: attest.Sign, &c.tk: attest.Decrypt} {
		if *key, err = c.tpm.CreateKey(t.Context(), attest.Template{Usage: usage}); err != nil {
			t.Fatal(err)
		}
	}
	return c
}

func (c *chip) proof() *drs.Proof {
	return &drs.Proof{
		EK: c.ek.Public, EKPublicArea: c.ek.PublicArea, EKChain: c.ekChain, AIKPublicArea: c.aik.PublicArea(),
		Activate: c.tpm.Activator(c.ek, c.aik),
	}
}

func (c *chip) request(token *drs.DeviceToken) *drs.Request {
	tk, _ := c.tk.Public().(*rsa.PublicKey)
	return &drs.Request{
		DeviceToken: given(token), DeviceKey: c.dk, TransportKey: tk, DisplayName: "chip",
		Attestation: &drs.Attestation{AIKPublicArea: c.aik.PublicArea(), Nonce: token.Nonce, Certify: func(ctx context.Context, usage string, data []byte) (*drs.Statement, error) {
			key := c.dk
			if usage == drs.UsageTransport {
				key = c.tk
			}
			st, err := c.tpm.Certify(ctx, key, c.aik, data)
			return (*drs.Statement)(st), err
		}},
	}
}

func TestEmulator(t *testing.T) {
	emulator := emulated(t, "drs")
	testLife(t, emulator)
	if objects, sessions := emulator.Loaded(); objects != 0 || sessions != 0 {
		t.Errorf("%d objects and %d sessions are left in the TPM", objects, sessions)
	}
}

func TestSWTPM(t *testing.T) {
	s, err := attesttest.StartSWTPM(t.TempDir())
	if errors.Is(err, attesttest.ErrNoSWTPM) && os.Getenv("WHITEGLOVE_REQUIRE_SWTPM") == "" {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	testLife(t, s)
}

// A second TPM cannot replace the first in any step.
func TestEmulatorRefused(t *testing.T) {
	r := newRig(t)
	first, second := newChip(t, emulated(t, "drs")), newChip(t, emulated(t, "drs 2"))
	if _, err := r.server.Import(first.ek.Public); err != nil {
		t.Fatal(err)
	}
	// The endorsement key was not imported.
	_, err := r.client.Authenticate(t.Context(), r.tenant, second.proof())
	r.refused(err, "Token", "tpm_ek_unknown", "no device")
	// The imported endorsement key, with an attestation key of another TPM.
	p := first.proof()
	p.AIKPublicArea = second.aik.PublicArea()
	_, err = r.client.Authenticate(t.Context(), r.tenant, p)
	var failed *attest.Error
	if !errors.As(err, &failed) {
		t.Errorf("got %v", err)
	}
	// A signing key instead of an attestation key.
	p.AIKPublicArea = first.dk.PublicArea()
	_, err = r.client.Authenticate(t.Context(), r.tenant, p)
	r.refused(err, "Challenge", "tpm_aik_attributes", "0x0004")
	token, err := r.client.Authenticate(t.Context(), r.tenant, first.proof())
	if err != nil {
		t.Fatal(err)
	}
	// Keys that another TPM certifies.
	_, err = r.join(second.request(token))
	r.refused(err, "Join", "AttestationFailed", "check 9")
	// The same with the public area of the right attestation key.
	req := second.request(token)
	req.Attestation.AIKPublicArea = first.aik.PublicArea()
	_, err = r.join(req)
	r.refused(err, "Join", "AttestationFailed", "check 3")
	// A certificate request that another key of the right TPM signs.
	req = first.request(token)
	if req.DeviceKey, err = first.tpm.CreateKey(t.Context(), attest.Template{Usage: attest.Sign}); err != nil {
		t.Fatal(err)
	}
	_, err = r.join(req)
	r.refused(err, "Join", "AttestationFailed", "check 7: device")
	// A transport key outside the TPM.
	req = first.request(token)
	req.TransportKey = &softRSA(t, 3).PublicKey
	_, err = r.join(req)
	r.refused(err, "Join", "AttestationFailed", "check 7: transport")
	if _, err := r.join(first.request(token)); err != nil {
		t.Error(err)
	}
}

// Admit is called only after the proof, and with the verified certificate.
func TestAdmit(t *testing.T) {
	r := newRig(t)
	r.now = time.Now()
	r.server.EKRoots = ekcert.Roots{attesttest.Vendor: attesttest.Roots()}
	c := newChip(t, emulated(t, "drs"))
	asked, admit := 0, false
	r.server.Admit = func(ek crypto.PublicKey, cert *x509.Certificate) bool {
		asked++
		return admit && cert.Equal(c.ekChain[0]) && c.ek.Public.(*rsa.PublicKey).Equal(ek)
	}
	p := c.proof()
	p.Activate = func(context.Context, []byte, []byte) ([]byte, error) { return make([]byte, 32), nil }
	_, err := r.client.Authenticate(t.Context(), r.tenant, p)
	r.refused(err, "Token", "tpm_activation_failed", "secret")
	if asked != 0 {
		t.Error("asked before the key was proved")
	}
	_, err = r.client.Authenticate(t.Context(), r.tenant, c.proof())
	r.refused(err, "Token", "tpm_ek_unknown", "no device")
	admit = true
	token, err := r.client.Authenticate(t.Context(), r.tenant, c.proof())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.join(c.request(token)); err != nil || len(r.server.Objects()) != 2 {
		t.Errorf("%v, %d objects", err, len(r.server.Objects()))
	}
	before := asked
	if _, err := r.client.Authenticate(t.Context(), r.tenant, c.proof()); err != nil || asked != before {
		t.Errorf("asked about a key that is known: %v", err)
	}
}

// The variants of the proof, and KADS and KAST, with keys in an emulated TPM.
func TestEmulatorVariants(t *testing.T) {
	testVariants(t, emulated(t, "drs"))
}

func TestSWTPMVariants(t *testing.T) {
	s, err := attesttest.StartSWTPM(t.TempDir())
	if errors.Is(err, attesttest.ErrNoSWTPM) && os.Getenv("WHITEGLOVE_REQUIRE_SWTPM") == "" {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	testVariants(t, s)
}

func testVariants(t *testing.T, tr transport.TPMCloser) {
	r := newRig(t)
	r.now = time.Now()
	c := newChip(t, tr)
	if _, err := r.server.Import(c.ek.Public); err != nil {
		t.Fatal(err)
	}
	dk, _ := c.dk.Public().(*rsa.PublicKey)
	byDevice := &drs.Proof{
		EK: c.ek.Public, EKPublicArea: c.ek.PublicArea, DeviceKeyPublicArea: c.dk.PublicArea(), DeviceKey: dk,
		Activate: c.tpm.Activator(c.ek, c.dk),
	}
	token, err := r.client.Authenticate(t.Context(), r.tenant, byDevice)
	if err != nil {
		t.Fatal("dk-activate:", err)
	}
	req := c.request(token)
	req.Attestation = nil
	first, err := r.join(req)
	if err != nil {
		t.Fatal("dk-activate:", err)
	}
	req = c.request(new(drs.DeviceToken))
	req.DeviceToken, req.Proof = nil, c.proof()
	if dev, err := r.join(req); err != nil || dev.ID != first.ID {
		t.Error("challenge-401:", err)
	}
	p := c.proof()
	p.DeviceKey = dk
	if token, err = r.client.Authenticate(t.Context(), r.tenant, p); err != nil {
		t.Fatal(err)
	}
	made := c.aik.Creation()
	req = c.request(token)
	req.Attestation.Form = drs.FormKAST
	req.Attestation.AIKCreation = (*drs.Statement)(made)
	if dev, err := r.join(req); err != nil || dev.ID != first.ID || r.server.Objects()[1].AttestationLevel != 1 {
		t.Error("KAST:", err, r.server.Refusals())
	}
}
