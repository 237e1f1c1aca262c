package mdm_test

import (
	"bytes"
	"context"
	"crypto"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/whiteglove/whiteglove/mdm"
)

func TestEnroll(t *testing.T) {
	server, discovery := start(t)
	var logged bytes.Buffer
	c := &mdm.Client{
		Device: mdm.Device{ID: testDevice, Name: `a <"device"> & more`},
		Roots:  server.Roots(),
		Logger: slog.New(slog.NewTextHandler(&logged, &slog.HandlerOptions{Level: slog.LevelDebug})),
	}
	e, err := enroll(t, c, discovery)
	if err != nil {
		t.Fatalf("%v; server: %q", err, server.Refusals())
	}
	cert := e.Certificate
	if !mdmKey().PublicKey.Equal(cert.PublicKey) {
		t.Error("the certificate is of another key")
	}
	if issued := server.Enrolled(); len(issued) != 1 || !issued[0].Equal(cert) {
		t.Errorf("the server issued %d certificates, not this one", len(issued))
	}
	ca := server.Certificates()
	if len(e.Issuers) != 2 || !e.Issuers[0].Equal(ca[0]) || !e.Issuers[1].Equal(ca[1]) {
		t.Errorf("%d issuers, not those of the server", len(e.Issuers))
	}
	if e.Scope != "System" || e.ProviderID != "TestMDM" || !strings.HasSuffix(e.Server, "/ManagementServer/MDM.svc") {
		t.Errorf("scope %q, provider %q, server %q", e.Scope, e.ProviderID, e.Server)
	}
	checkDocument(t, e, cert.Subject.CommonName)
	if token := string(newToken(t)); strings.Contains(logged.String(), token[:40]) || !strings.Contains(logged.String(), "op=Enroll") {
		t.Errorf("log: %s", &logged)
	}
	if refused := server.Refusals(); len(refused) != 0 {
		t.Errorf("refused: %q", refused)
	}
	// The answer of the first enrollment may have been lost.
	if _, err := enroll(t, c, discovery); err != nil {
		t.Errorf("second enrollment: %v", err)
	}
}

// checkDocument checks the typed views of a provisioning document.
func checkDocument(t *testing.T, e *mdm.Enrollment, id string) {
	t.Helper()
	doc, err := mdm.ParseDocument(e.Document)
	if err != nil {
		t.Fatal(err)
	}
	certs, err := doc.Certificates()
	if err != nil || len(certs) != 3 {
		t.Errorf("%d certificates, %v", len(certs), err)
	}
	account, err := doc.Account()
	if err != nil {
		t.Fatal(err)
	}
	if len(account.Auth) != 2 || account.Auth[0].Level != "CLIENT" || account.Auth[1].Level != "APPSRV" || account.Auth[1].Name != id {
		t.Errorf("authentication: %v", account.Auth)
	}
	if account.Encoding != "application/vnd.syncml.dm+xml" || !strings.Contains(account.CertificateSearch, id) {
		t.Errorf("account: %v", account)
	}
	secret := string(account.Auth[0].Secret)
	if shown := fmt.Sprintf("%v %+v %#v %s", account, account, account, doc.Find("APPLICATION", "APPAUTH")[0].Parms); secret == "" || strings.Contains(shown, secret) {
		t.Errorf("the secret is shown: %s", shown)
	}
	p := doc.Provider(account.ProviderID)
	if p == nil || p.DeviceID != id || p.DeviceName != `a <"device"> & more` {
		t.Errorf("provider: %+v", p)
	}
	if doc.Provider("another") != nil {
		t.Error("there is a provider nobody named")
	}
}

func TestPolicyOfServer(t *testing.T) {
	_, discovery := start(t)
	c := new(mdm.Client)
	d, err := c.Discover(t.Context(), discovery, "")
	if err != nil {
		t.Fatal(err)
	}
	if d.AuthPolicy != "Federated" || d.EnrollVersion != "5.0" {
		t.Errorf("discovery: %+v", d)
	}
	p, err := c.Policy(t.Context(), d, newToken(t))
	if err != nil {
		t.Fatal(err)
	}
	if p.MinimalKeyLength != 2048 || p.Hash != crypto.SHA256 || p.KeyAlgorithm != "1.2.840.113549.1.1.1" ||
		p.Name != "DeviceManagement" || len(p.Providers) != 2 || p.Validity != 365*24*time.Hour {
		t.Errorf("policy: %+v", p)
	}
}

// What is wrong is refused before anything is sent.
func TestEnrollArguments(t *testing.T) {
	d := &mdm.Discovery{EnrollURL: "http://127.0.0.1:1/enroll", EnrollVersion: "5.0"}
	good := func() *mdm.Request {
		return &mdm.Request{Credential: mdm.Token("a.b.c"), Key: mdmKey(), Context: extra()}
	}
	for _, c := range []struct {
		name   string
		change func(*mdm.Client, *mdm.Discovery, *mdm.Policy, *mdm.Request)
		want   string
		code   uint32
	}{
		{"no device", func(c *mdm.Client, _ *mdm.Discovery, _ *mdm.Policy, _ *mdm.Request) { c.Device.ID = "" }, "identifier", 0},
		{"device with markup", func(c *mdm.Client, _ *mdm.Discovery, _ *mdm.Policy, _ *mdm.Request) { c.Device.ID = "a<b" }, "identifier", 0},
		{"no key", func(_ *mdm.Client, _ *mdm.Discovery, _ *mdm.Policy, r *mdm.Request) { r.Key = nil }, "no management key", 0x80070057},
		{"no token", func(_ *mdm.Client, _ *mdm.Discovery, _ *mdm.Policy, r *mdm.Request) { r.Credential = mdm.Token("") }, "no token", 0},
		{"no server", func(_ *mdm.Client, d *mdm.Discovery, _ *mdm.Policy, _ *mdm.Request) { d.EnrollURL = "" }, "no URL", 0x80070057},
		{"clear text", func(_ *mdm.Client, d *mdm.Discovery, _ *mdm.Policy, _ *mdm.Request) {
			d.EnrollURL = "http://example.com/e"
		}, "not https", 0x8018001A},
		{"version", func(_ *mdm.Client, d *mdm.Discovery, _ *mdm.Policy, _ *mdm.Request) { d.EnrollVersion = "new" }, "version", 0},
		{"long key", func(_ *mdm.Client, _ *mdm.Discovery, p *mdm.Policy, _ *mdm.Request) { p.MinimalKeyLength = 4096 }, "2048 bits", 0x80180027},
		{"elliptic key", func(_ *mdm.Client, _ *mdm.Discovery, p *mdm.Policy, _ *mdm.Request) {
			p.KeyAlgorithm = "1.2.840.10045.2.1"
		}, "RSA", 0x80180027},
		{"control character", func(_ *mdm.Client, _ *mdm.Discovery, _ *mdm.Policy, r *mdm.Request) {
			r.Context = []mdm.Item{{"Locale", "en\x00"}}
		}, "characters", 0},
		{"another DeviceID", func(_ *mdm.Client, _ *mdm.Discovery, _ *mdm.Policy, r *mdm.Request) {
			r.Context = []mdm.Item{{"DeviceID", "x"}}
		}, "DeviceID", 0},
		{"two kinds of attestation", func(_ *mdm.Client, _ *mdm.Discovery, _ *mdm.Policy, r *mdm.Request) {
			r.Context = []mdm.Item{{"AIKPub", "QQ=="}, {mdm.ItemAzureBlob, "QQ=="}}
		}, "excludes", 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			client := &mdm.Client{Device: mdm.Device{ID: testDevice}}
			own, p, r := *d, &mdm.Policy{MinimalKeyLength: 2048, Hash: crypto.SHA256}, good()
			c.change(client, &own, p, r)
			_, err := client.Enroll(t.Context(), &own, p, r)
			e := failure(t, err)
			if !strings.Contains(e.Error(), c.want) || e.HRESULT() != c.code || e.HTTPStatus != 0 || e.Retryable() {
				t.Errorf("%v, %#x", e, e.HRESULT())
			}
		})
	}
}

func TestCallEndsWithContext(t *testing.T) {
	_, discovery := start(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := new(mdm.Client).Discover(ctx, discovery, "")
	if !errors.Is(err, context.Canceled) || failure(t, err).Retryable() {
		t.Error(err)
	}
}

func TestTokenIsNotShown(t *testing.T) {
	token := mdm.Token("very-secret")
	shown := fmt.Sprintf("%v %s %q %x %d %#v %+v %v", token, token, token, token, token, token,
		struct{ T mdm.Token }{token}, []mdm.Token{token})
	if shown += token.String() + token.LogValue().String(); strings.Contains(shown, "secret") || strings.Contains(shown, "736563") {
		t.Error(shown)
	}
	if text, err := json.Marshal(token); err == nil {
		t.Errorf("a token was marshaled: %s", text)
	}
}
