package errtext_test

import (
	"context"
	"crypto"
	"crypto/rsa"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-tpm/tpm2"

	"github.com/whiteglove/whiteglove/attest"
	"github.com/whiteglove/whiteglove/attest/attesttest"
	"github.com/whiteglove/whiteglove/autopilot"
	"github.com/whiteglove/whiteglove/autopilot/autopilottest"
	"github.com/whiteglove/whiteglove/autopilot/graph"
	"github.com/whiteglove/whiteglove/diagnose"
	"github.com/whiteglove/whiteglove/drs"
	"github.com/whiteglove/whiteglove/drs/login"
	"github.com/whiteglove/whiteglove/ekcert"
	"github.com/whiteglove/whiteglove/internal/misuse"
	"github.com/whiteglove/whiteglove/prove"
	"github.com/whiteglove/whiteglove/provision/provisiontest"
	"github.com/whiteglove/whiteglove/verify"
)

// A store is a [verify.Store] that fails, or returns another value.
type store struct{ err error }

func (s store) Put(context.Context, string, []byte, time.Time) error { return s.err }

func (store) Take(context.Context, string) ([]byte, error) { return []byte("?"), nil }

// A fetcher is a [ekcert.Fetcher] that returns nothing.
type fetcher struct{}

func (fetcher) Fetch(context.Context, crypto.PublicKey) ([]byte, error) { return nil, nil }

// What a function of the caller returns in place of a result, or its error, is told with
// the function's name. Those of package provision are in its own tests.
func TestCallbacks(t *testing.T) {
	ctx := t.Context()
	s := provisiontest.NewServer()
	defer s.Close()
	device, err := s.NewDevice(ctx, attesttest.Config{FastKeys: true})
	if err != nil {
		t.Fatal(err)
	}
	defer device.Close()
	p := s.Provisioner(device)
	tpm, client := p.TPM, p.HTTPClient
	ek, cert, err := prove.FindEK(ctx, tpm, p.EKCert, "")
	if err != nil {
		t.Fatal(err)
	}
	report, err := p.EKCert.Verify(ctx, cert, ek.Public)
	if err != nil {
		t.Fatal(err)
	}
	key, err := tpm.CreateKey(ctx, attest.Template{Usage: attest.Attest})
	if err != nil {
		t.Fatal(err)
	}
	id := &prove.Identity{TPM: tpm, EK: ek, EKChain: report.Chain, AIK: key}
	aik := p.AIK
	aik.HTTPClient = client
	directory := p.DRS
	directory.HTTPClient = client
	d, err := directory.Discover(ctx, p.Tenant)
	if err != nil {
		t.Fatal(err)
	}
	if id.AIKChain, err = aik.Enroll(ctx, id.AIKRequest()); err != nil {
		t.Fatal(err)
	}
	nothing := func(context.Context, []byte, []byte) ([]byte, error) { return nil, nil }
	own := errors.New("the depot is closed")
	hash := autopilottest.Device{}.Hash()
	hello := &verify.Hello{EKCertificate: cert.Raw, EKPublicArea: ek.PublicArea, AIKCreation: key.Creation()}
	for _, c := range cert.Issuers {
		hello.Issuers = append(hello.Issuers, c.Raw)
	}
	for name, c := range map[string]struct {
		call func() error
		want string // at the end of the diagnosis
	}{
		"Proof.Activate": {func() error {
			proof := id.Proof()
			proof.Activate = nothing
			_, err := directory.Authenticate(ctx, d, proof)
			return err
		}, "Proof.Activate returned neither a secret nor an error"},
		"Attestation.Certify": {func() error {
			_, err := directory.Join(ctx, d, &drs.Request{
				UserToken: "token", DeviceKey: rsaKey(t), TransportKey: &rsaKey(t).PublicKey,
				Attestation: &drs.Attestation{AIKPublicArea: key.PublicArea(), Certify: func(context.Context, string, []byte) (*drs.Statement, error) { return nil, nil }},
			})
			return err
		}, "Attestation.Certify returned neither a statement nor an error"},
		"MakeAIK": {func() error {
			req := id.AIKRequest()
			req.AIKCreation, req.MakeAIK = nil, func(context.Context) (*attest.Statement, error) { return nil, nil }
			_, err := aik.Enroll(ctx, req)
			return err
		}, "Request.MakeAIK returned neither a statement nor an error"},
		"aik's Activate": {func() error {
			req := id.AIKRequest()
			req.Activate = nothing
			_, err := aik.Enroll(ctx, req)
			return err
		}, "Request.Activate returned neither a secret nor an error"},
		"Fetcher": {func() error {
			c := &ekcert.Client{Services: map[string]ekcert.Fetcher{"INTC": fetcher{}}}
			_, err := c.Find(ctx, nil, "INTC", ek.Public)
			return err
		}, "Fetcher.Fetch returned neither a certificate nor an error"},
		"Service.Name": {func() error {
			_, err := (&ekcert.Service{URL: "https://maker.test/", Name: func(crypto.PublicKey) (string, error) { return "", nil }}).Fetch(ctx, ek.Public)
			return err
		}, "Service.Name returned neither a name nor an error"},
		"Client.Token": {func() error {
			for _, err := range (&graph.Client{Token: func(context.Context) (string, error) { return "", nil }}).ManagedDevices(ctx, "1") {
				return err
			}
			return nil
		}, "Client.Token returned neither a token nor an error"},
		"its error": {func() error {
			_, err := (&autopilot.ProfileClient{URL: "https://127.0.0.1:1/", Ticket: func(context.Context) (string, error) { return "", own }}).Download(ctx, hash)
			return err
		}, "This is the error of ProfileClient.Ticket: ask whoever runs it."},
		"ProfileClient.Ticket": {func() error {
			_, err := (&autopilot.ProfileClient{URL: "https://127.0.0.1:1/", Ticket: func(context.Context) (string, error) { return "", nil }}).Download(ctx, hash)
			return err
		}, "ProfileClient.Ticket returned neither a ticket nor an error"},
		"show": {func() error {
			_, err := (&login.Client{HTTPClient: client}).DeviceCode(ctx, d, func(context.Context, *login.Code) error { return own })
			return err
		}, "This is the error of the function that shows the code: ask whoever runs it."},
		"Store.Take": {func() error {
			_, err := (&verify.Verifier{EKs: p.EKCert, Challenges: store{}}).Accept(ctx, &verify.Answer{ID: "1", Secret: []byte("2")})
			return err
		}, "Store.Take returned another value than Put was given"},
		"Store.Put": {func() error {
			_, err := (&verify.Verifier{EKs: p.EKCert, Challenges: store{own}}).Challenge(ctx, hello)
			return err
		}, "This is the error of Store.Put: ask whoever runs it."},
		"Verifier.Admit": {func() error {
			admit := func(context.Context, *ekcert.Certificate, *ekcert.Report) error { return own }
			_, err := (&verify.Verifier{EKs: p.EKCert, Admit: admit}).Challenge(ctx, hello)
			return err
		}, "This is the error of Verifier.Admit: ask whoever runs it."},
	} {
		if strings.Contains(c.want, "returned") {
			c.want += " (0x80070057 ERROR_INVALID_PARAMETER). Correct that function."
		}
		if got := diagnose.Explain(c.call()).String(); !strings.HasSuffix(got, c.want) {
			t.Errorf("%s:\n got %s\nwant %s", name, got, c.want)
		}
	}
}

// An error of the caller's function that has a code keeps what is known of that.
func TestOfCoded(t *testing.T) {
	of := func(err error) string { return diagnose.Explain(misuse.Of("F", err)).Remedy }
	if got, want := of(&attest.Error{Op: "TPM2_Load", RC: tpm2.TPMRCRetry}), diagnose.Explain(&attest.Error{Op: "TPM2_Load", RC: tpm2.TPMRCRetry}).Remedy; got != want || got == "" {
		t.Errorf("%q, want %q", got, want)
	}
	if got := of(errors.New("closed")); got != "This is the error of F: ask whoever runs it." {
		t.Error(got)
	}
}

// rsaKey returns a key.
func rsaKey(t *testing.T) *rsa.PrivateKey {
	t.Helper()
	key, err := rsa.GenerateKey(nil, 2048)
	if err != nil {
		t.Fatal(err)
	}
	return key
}
