package prove_test

import (
	"context"
	"crypto"
	"crypto/rsa"
	"crypto/x509"
	"errors"
	"strings"
	"testing"

	"github.com/whiteglove/whiteglove/aik"
	"github.com/whiteglove/whiteglove/attest"
	"github.com/whiteglove/whiteglove/attest/attesttest"
	"github.com/whiteglove/whiteglove/drs"
	"github.com/whiteglove/whiteglove/ekcert"
	"github.com/whiteglove/whiteglove/mdm"
	"github.com/whiteglove/whiteglove/mdm/mdmtest"
	"github.com/whiteglove/whiteglove/prove"
	"github.com/whiteglove/whiteglove/provision/provisiontest"
)

// newTPM returns an emulated TPM.
func newTPM(t *testing.T, c attesttest.Config) *attest.TPM {
	t.Helper()
	c.FastKeys = true
	chip, err := attesttest.New(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { chip.Close() })
	return &attest.TPM{Transport: chip}
}

func newKey(t *testing.T, tpm *attest.TPM, usage attest.Usage) *attest.Key {
	t.Helper()
	key, err := tpm.CreateKey(t.Context(), attest.Template{Usage: usage})
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// A device is a TPM that has joined.
type device struct {
	*prove.Identity
	dk, tk, key *attest.Key
	token       mdm.Token // of the directory, for management
	drs         *drs.Device
	ztdID       string
}

// join takes a device of a server to its join, with a certificate for the endorsement
// key by the maker's CA.
func join(t *testing.T, s *provisiontest.Server) *device {
	t.Helper()
	ctx := t.Context()
	tpm := newTPM(t, attesttest.Config{NoCertificate: true})
	clients := s.Provisioner(&provisiontest.Device{TPM: tpm})
	d := &device{
		Identity: &prove.Identity{TPM: tpm, AIK: newKey(t, tpm, attest.Attest)},
		dk:       newKey(t, tpm, attest.Sign), tk: newKey(t, tpm, attest.Decrypt), key: newKey(t, tpm, attest.Sign),
	}
	made := d.AIK
	check := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatalf("%v; servers: %q", err, s.Refusals())
		}
	}
	var err error
	d.EK, err = tpm.EK(ctx)
	check(err)
	clients.EKCert.HTTPClient, clients.AIK.HTTPClient, clients.DRS.HTTPClient = s.Client(), s.Client(), s.Client()
	req, err := d.EKRequest(ctx)
	check(err)
	cert, err := clients.EKCert.Enroll(ctx, req)
	check(err)
	report, err := clients.EKCert.Verify(ctx, cert, d.EK.Public)
	check(err)
	d.EKChain = report.Chain
	d.AIK = nil // it is made while the CA is looked for
	aikRequest := d.AIKRequest()
	aikRequest.MakeAIK = func(context.Context) (*attest.Statement, error) {
		d.AIK = made
		return made.Creation(), nil
	}
	d.AIKChain, err = clients.AIK.Enroll(ctx, aikRequest)
	check(err)

	tenant, err := clients.DRS.Discover(ctx, provisiontest.Tenant)
	check(err)
	token, err := clients.DRS.Authenticate(ctx, tenant, d.Proof())
	check(err)
	d.ztdID = token.ZTDID
	d.drs, err = clients.DRS.Join(ctx, tenant, &drs.Request{
		DeviceToken: token, DeviceKey: d.dk, TransportKey: d.tk.Public().(*rsa.PublicKey),
		Attestation: d.JoinAttestation(d.dk, d.tk, token.Nonce),
	})
	check(err)
	exchange := &mdm.TokenClient{Endpoint: tenant.TokenEndpoint, HTTPClient: s.Client()}
	d.token, err = exchange.Exchange(ctx, &mdm.TokenRequest{Certificate: d.drs.Certificate, DeviceKey: d.dk})
	check(err)
	return d
}

// A TPM without a certificate proves itself to all services that a device meets, which
// check everything, and enrolls with claims or with a report of Azure Attestation.
func TestIdentity(t *testing.T) {
	for name, m := range map[string]*mdmtest.Server{
		"claims": {RequireAttestation: true},
		"Azure":  {RequireAttestation: true, Azure: new(mdmtest.AttestationServer)},
	} {
		t.Run(name, func(t *testing.T) {
			s := &provisiontest.Server{AdmitAny: true, Management: m}
			if err := s.Start(""); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { s.Close() })
			d := join(t, s)
			client := &mdm.Client{Device: mdm.Device{ID: d.drs.ID}, HTTPClient: s.Client(), Roots: s.Management.Roots(), RequestVersion: "6.0"}
			at, err := client.Discover(t.Context(), s.URL+provisiontest.DiscoveryPath, "")
			if err != nil {
				t.Fatal(err)
			}
			p, err := client.Policy(t.Context(), at, d.token)
			if err != nil {
				t.Fatal(err)
			}
			req := &mdm.Request{Credential: d.token, Key: d.key, Context: mdm.PreProvisioning(d.ztdID)}
			if p.Azure != nil {
				blob, err := client.AttestAzure(t.Context(), at, p, d.AzureEvidence(d.key.WithContext(t.Context()), d.dk))
				if err != nil {
					t.Fatalf("%v; servers: %q", err, s.Refusals())
				}
				req.Context = append(req.Context, blob)
			} else if req.Attestation, err = d.EnrollAttestation(t.Context(), d.key, d.dk); err != nil {
				t.Fatal(err)
			}
			if _, err := client.Enroll(t.Context(), at, p, req); err != nil {
				t.Fatalf("%v; servers: %q", err, s.Refusals())
			}
		})
	}
}

// The first endorsement key with a certificate is found, be it the first key or not.
func TestFindEK(t *testing.T) {
	asked := 0
	for name, c := range map[string]struct {
		config attesttest.Config
		client *ekcert.Client
		vendor string
		want   error
		asked  int
	}{
		"in the TPM":           {attesttest.Config{}, nil, "INTC", nil, 0},
		"nowhere":              {attesttest.Config{NoCertificate: true}, new(ekcert.Client), "", ekcert.ErrNotFound, 0},
		"not at the service":   {attesttest.Config{NoCertificate: true}, &ekcert.Client{Services: map[string]ekcert.Fetcher{"INTC": noService{&asked}}}, "INTC", ekcert.ErrNotFound, 1},
		"no service, no asker": {attesttest.Config{NoCertificate: true}, &ekcert.Client{Services: map[string]ekcert.Fetcher{"INTC": noService{&asked}}}, "", ekcert.ErrNotFound, 0},
	} {
		t.Run(name, func(t *testing.T) {
			asked = 0
			tpm := newTPM(t, c.config)
			ek, cert, err := prove.FindEK(t.Context(), tpm, c.client, c.vendor)
			if !errors.Is(err, c.want) || (err == nil) != (ek != nil && cert != nil) || asked != c.asked {
				t.Fatalf("%v, %v, %v; services asked %d times", ek, cert, err, asked)
			}
			if err != nil && strings.Count(err.Error(), "ekcert:") != 1 {
				t.Errorf("%v", err)
			}
		})
	}
	for name, tpm := range map[string]*attest.TPM{"nil": nil, "zero": new(attest.TPM)} {
		if _, _, err := prove.FindEK(t.Context(), tpm, nil, ""); !errors.Is(err, attest.ErrNoTPM) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A noService has no certificate, and counts who asks.
type noService struct{ asked *int }

func (n noService) Fetch(context.Context, crypto.PublicKey) ([]byte, error) {
	*n.asked++
	return nil, ekcert.ErrNotFound
}

// What is missing is an error of the client that gets it, and never a panic.
func TestEmpty(t *testing.T) {
	ctx, id := t.Context(), new(prove.Identity)
	for name, err := range map[string]error{
		"EKRequest":         second(id.EKRequest(ctx)),
		"aik":               second((&aik.Client{URL: "http://127.0.0.1:1"}).Enroll(ctx, id.AIKRequest())),
		"drs":               second((&drs.Client{}).Authenticate(ctx, &drs.Discovery{}, id.Proof())),
		"EnrollAttestation": second(id.EnrollAttestation(ctx, nil, nil)),
		"AttestAzure":       second((&mdm.Client{}).AttestAzure(ctx, &mdm.Discovery{}, &mdm.Policy{Azure: &mdm.AzureAttestation{}}, id.AzureEvidence(nil, nil))),
		"Certify":           second(id.JoinAttestation(nil, nil, nil).Certify(ctx, drs.UsageDevice, make([]byte, 32))),
		"Certify, usage":    second(id.JoinAttestation(nil, nil, nil).Certify(ctx, "x", make([]byte, 32))),
		"Activate":          second(id.Proof().Activate(ctx, nil, nil)),
	} {
		if err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

// An enrollment has room for RSA keys only.
func TestNotRSA(t *testing.T) {
	tpm := newTPM(t, attesttest.Config{})
	curve, err := tpm.CreateKey(t.Context(), attest.Template{Algorithm: attest.P256, Usage: attest.Attest})
	if err != nil {
		t.Fatal(err)
	}
	id := &prove.Identity{TPM: tpm, AIK: curve, AIKChain: []*x509.Certificate{nil}}
	key := newKey(t, tpm, attest.Sign)
	_, err = id.EnrollAttestation(t.Context(), key, nil)
	var e *attest.Error
	if !errors.As(err, &e) || !strings.Contains(err.Error(), "RSA") {
		t.Errorf("attestation key on P-256: %v", err)
	}
	id.AIK = newKey(t, tpm, attest.Attest)
	for _, device := range []*attest.Key{nil, curve} {
		if a, err := id.EnrollAttestation(t.Context(), key, device); err != nil || a.DeviceKey != nil || a.DeviceClaim != nil || len(a.Claim) == 0 {
			t.Errorf("without an RSA device key: %v, %v", a, err)
		}
	}
	ev := id.AzureEvidence(key, curve)
	if own, other, err := ev.Certify(t.Context(), nil); err != nil || own == nil || other != nil || ev.DeviceKey != nil {
		t.Errorf("device key on P-256: %v, %v, %v", own, other, err)
	}
}

func second[T any](_ T, err error) error { return err }
