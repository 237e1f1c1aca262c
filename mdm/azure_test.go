package mdm_test

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-tpm/tpm2/transport"

	"github.com/whiteglove/whiteglove/attest/attesttest"
	"github.com/whiteglove/whiteglove/mdm"
	"github.com/whiteglove/whiteglove/mdm/internal/fixture"
	"github.com/whiteglove/whiteglove/mdm/mdmtest"
)

// evidence returns what a.key and a.device are proven with.
func (a *attester) evidence(certificate *x509.Certificate) *mdm.AzureEvidence {
	return &mdm.AzureEvidence{
		AIK: a.aik.Public().(*rsa.PublicKey), AIKCertificate: certificate, Key: a.key, DeviceKey: a.device.Public().(*rsa.PublicKey),
		Certify: func(ctx context.Context, nonce []byte) (key, device *mdm.Statement, err error) {
			own, err := a.chip.Certify(ctx, a.key, a.aik, nonce)
			if err != nil {
				return nil, nil, err
			}
			other, err := a.chip.Certify(ctx, a.device, a.aik, nonce)
			return (*mdm.Statement)(own), (*mdm.Statement)(other), err
		},
	}
}

// An azureSite is a management server that asks for a report, and the service that
// makes it.
type azureSite struct {
	*mdmtest.Server
	service *mdmtest.AttestationServer
	client  *mdm.Client
	at      *mdm.Discovery
}

func startAzure(t testing.TB, a *attester, roots *x509.CertPool) *azureSite {
	t.Helper()
	service := &mdmtest.AttestationServer{AIKRoots: roots}
	h := httptest.NewServer(service)
	t.Cleanup(h.Close)
	service.BaseURL = h.URL
	s := &azureSite{Server: &mdmtest.Server{
		TokenKey: func() *rsa.PublicKey { return &tokenKey().PublicKey }, RequireAttestation: true, Azure: service,
		DeviceKey: func(string) crypto.PublicKey { return a.device.Public() },
	}, service: service}
	m := httptest.NewServer(s.Server)
	t.Cleanup(m.Close)
	s.client = &mdm.Client{Device: mdm.Device{ID: testDevice}, RequestVersion: "6.0"}
	var err error
	if s.at, err = s.client.Discover(t.Context(), m.URL+mdmtest.DiscoveryPath, ""); err != nil {
		t.Fatal(err)
	}
	return s
}

// enroll asks for the policy, then for a report, and enrolls with that.
func (s *azureSite) enroll(t testing.TB, ev *mdm.AzureEvidence, key crypto.Signer) error {
	t.Helper()
	p, err := s.client.Policy(t.Context(), s.at, newToken(t))
	if err != nil {
		t.Fatal(err)
	}
	if !p.AsksAttestation() || p.Azure == nil || p.Azure.Endpoint != s.service.BaseURL || p.Azure.Nonce == "" || p.Azure.RelyingPartyID == "" {
		t.Fatalf("%+v", p)
	}
	blob, err := s.client.AttestAzure(t.Context(), s.at, p, ev)
	if err != nil {
		return err
	}
	_, err = s.client.Enroll(t.Context(), s.at, p, &mdm.Request{Credential: newToken(t), Key: key, Context: append(extra(), blob)})
	return err
}

// A device enrolls with a report that the service has made from its TPM's
// statements.
func TestAzure(t *testing.T) {
	fixture.TPMs(t, func(t *testing.T, tr transport.TPM) {
		a := newAttester(t, tr)
		ca := newAIKCA(t)
		roots := x509.NewCertPool()
		roots.AddCert(ca.root)
		s := startAzure(t, a, roots)
		if err := s.enroll(t, a.evidence(ca.issue(t, a.aik.Public(), nil)), a.key); err != nil {
			t.Errorf("%v; server: %q; service: %q", err, s.Refusals(), s.service.Refusals())
		}
	})
}

// What proves something else, or nothing, is refused by the service or by the
// server.
func TestAzureRefused(t *testing.T) {
	chip, err := attesttest.New(attesttest.Config{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { chip.Close() })
	a := newAttester(t, chip)
	ca, other := newAIKCA(t), newAIKCA(t)
	roots := x509.NewCertPool()
	roots.AddCert(ca.root)
	cert := ca.issue(t, a.aik.Public(), nil)
	for _, c := range []struct {
		name   string
		change func(*mdm.AzureEvidence)
		key    crypto.Signer // of the enrollment; a.key if nil
		reason string
	}{
		{"no certificate", func(e *mdm.AzureEvidence) { e.AIKCertificate = nil }, nil, "aik_cert"},
		{"another CA", func(e *mdm.AzureEvidence) { e.AIKCertificate = other.issue(t, a.aik.Public(), nil) }, nil, "leads to no trusted root"},
		{"another AIK", func(e *mdm.AzureEvidence) { e.AIK = &otherKey().PublicKey }, nil, "of another key than aik_pub"},
		{"key in software", func(e *mdm.AzureEvidence) { e.Key = otherKey() }, otherKey(), "tpm_certify is about another key"},
		{"device key in software", func(e *mdm.AzureEvidence) { e.DeviceKey = &otherKey().PublicKey }, nil, "tpm_certify is about another key"},
		{"another device key", func(e *mdm.AzureEvidence) {
			e.DeviceKey = a.key.Public().(*rsa.PublicKey)
			certify := e.Certify
			e.Certify = func(ctx context.Context, nonce []byte) (*mdm.Statement, *mdm.Statement, error) {
				own, _, err := certify(ctx, nonce)
				return own, own, err
			}
		}, nil, "is not that of device"},
		{"statement for another challenge", func(e *mdm.AzureEvidence) {
			certify := e.Certify
			e.Certify = func(ctx context.Context, _ []byte) (*mdm.Statement, *mdm.Statement, error) {
				return certify(ctx, []byte("old"))
			}
		}, nil, "Attest: "},
		{"report about another key", nil, fixture.Opaque{Signer: mdmKey()}, "is about another key"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := startAzure(t, a, roots)
			ev := a.evidence(cert)
			if c.change != nil {
				c.change(ev)
			}
			key := c.key
			if key == nil {
				key = a.key
			}
			err := s.enroll(t, ev, key)
			if all := strings.Join(append(s.Refusals(), s.service.Refusals()...), " "); err == nil || !strings.Contains(all, c.reason) {
				t.Errorf("%v; %s", err, all)
			}
		})
	}
}

// A report is for one enrollment, at the server that asked, and needs one that did.
func TestAzureReplayed(t *testing.T) {
	chip, err := attesttest.New(attesttest.Config{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { chip.Close() })
	a := newAttester(t, chip)
	s, elsewhere := startAzure(t, a, nil), startAzure(t, a, nil)
	p, err := s.client.Policy(t.Context(), s.at, newToken(t))
	if err != nil {
		t.Fatal(err)
	}
	blob, err := s.client.AttestAzure(t.Context(), s.at, p, a.evidence(nil))
	if err != nil {
		t.Fatalf("%v; %q", err, s.service.Refusals())
	}
	req := &mdm.Request{Credential: newToken(t), Key: a.key, Context: append(extra(), blob)}
	if _, err := elsewhere.client.Enroll(t.Context(), elsewhere.at, p, req); err == nil {
		t.Error("a server takes the report of another service")
	}
	for _, want := range []bool{true, false} {
		if _, err := s.client.Enroll(t.Context(), s.at, p, req); (err == nil) != want {
			t.Errorf("want %v: %v, %q", want, err, s.Refusals())
		}
	}
	if all := strings.Join(s.Refusals(), " "); !strings.Contains(all, "used before") {
		t.Error(all)
	}
	now := time.Now()
	s.service.Now = func() time.Time { return now }
	ev := a.evidence(nil)
	certify := ev.Certify
	ev.Certify = func(ctx context.Context, nonce []byte) (*mdm.Statement, *mdm.Statement, error) {
		now = now.Add(time.Hour)
		return certify(ctx, nonce)
	}
	if _, err := s.client.AttestAzure(t.Context(), s.at, p, ev); err == nil || !strings.Contains(strings.Join(s.service.Refusals(), ""), "challenge is not known") {
		t.Errorf("an old challenge: %v, %q", err, s.service.Refusals())
	}
}

// What is missing or wrong is known before anything is sent, and answers that make
// no sense are errors.
func TestAzureArguments(t *testing.T) {
	d := &mdm.Discovery{PolicyURL: "https://mdm.test/p"}
	statement := &mdm.Statement{PublicArea: []byte{1}, Attest: []byte{2}, Signature: []byte{3}}
	good := func() *mdm.AzureEvidence {
		return &mdm.AzureEvidence{AIK: &otherKey().PublicKey, Key: mdmKey(), Certify: func(context.Context, []byte) (*mdm.Statement, *mdm.Statement, error) {
			return statement, statement, nil
		}}
	}
	p := func(endpoint string) *mdm.Policy {
		return &mdm.Policy{Azure: &mdm.AzureAttestation{Endpoint: endpoint, Nonce: "AAAA"}}
	}
	curve, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	client := &mdm.Client{HTTPClient: &http.Client{Transport: broken{}}}
	for _, c := range []struct {
		name   string
		d      *mdm.Discovery
		p      *mdm.Policy
		change func(*mdm.AzureEvidence)
		none   bool
		code   uint32
	}{
		{"no discovery", nil, p("https://a.test"), nil, false, 0},
		{"no policy", d, nil, nil, false, 0},
		{"no service", d, new(mdm.Policy), nil, false, 0},
		{"clear text", d, p("http://127.0.0.1/"), nil, false, 0x8018001A},
		{"a name and a password", d, p("https://u@a.test/"), nil, false, 0},
		{"no evidence", d, p("https://a.test"), nil, true, 0x80180027},
		{"no key", d, p("https://a.test"), func(e *mdm.AzureEvidence) { e.Key = nil }, false, 0x80180027},
		{"no AIK", d, p("https://a.test"), func(e *mdm.AzureEvidence) { e.AIK = nil }, false, 0x80180027},
		{"no function", d, p("https://a.test"), func(e *mdm.AzureEvidence) { e.Certify = nil }, false, 0x80180027},
		{"elliptic key", d, p("https://a.test"), func(e *mdm.AzureEvidence) { e.Key = curve }, false, 0x80180027},
	} {
		ev := good()
		if c.change != nil {
			c.change(ev)
		}
		if c.none {
			ev = nil
		}
		_, err := client.AttestAzure(t.Context(), c.d, c.p, ev)
		if e := failure(t, err); e.Op != "Attest" || e.URL != "" || e.HRESULT() != c.code {
			t.Errorf("%s: %v", c.name, err)
		}
	}
	wrap := func(inner string) string {
		text, err := json.Marshal(map[string]string{"data": base64.RawURLEncoding.EncodeToString([]byte(inner))})
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	challenge := wrap(`{"challenge":"` + base64.RawURLEncoding.EncodeToString(make([]byte, 80)) + `","service_context":"eA"}`)
	failed := errors.New("no TPM")
	for _, c := range []struct {
		name    string
		answers []string
		change  func(*mdm.AzureEvidence)
		want    string
		code    uint32
	}{
		{"web page", []string{"200 <html>"}, nil, "the answer is a web page (HTML), not JSON", 0x80072F78},
		{"refusal", []string{`400 {"error":{"code":"X","message":"not today"}}`}, nil, "not today", 0x80190190},
		{"no challenge", []string{"200 " + wrap(`{}`)}, nil, "challenge", 0},
		{"no base64url", []string{"200 " + wrap(`{"challenge":"*"}`)}, nil, "challenge", 0},
		{"TPM fails", []string{"200 " + challenge}, func(e *mdm.AzureEvidence) {
			e.Certify = func(context.Context, []byte) (*mdm.Statement, *mdm.Statement, error) { return nil, nil, failed }
		}, "no TPM", 0},
		{"no statement", []string{"200 " + challenge}, func(e *mdm.AzureEvidence) {
			e.Certify = func(context.Context, []byte) (*mdm.Statement, *mdm.Statement, error) { return nil, nil, nil }
		}, "Certify returned neither the statements nor an error", 0x80070057},
		{"no statement of the device's key", []string{"200 " + challenge}, func(e *mdm.AzureEvidence) {
			e.DeviceKey = &mdmKey().PublicKey
			e.Certify = func(context.Context, []byte) (*mdm.Statement, *mdm.Statement, error) { return statement, nil, nil }
		}, "Certify returned neither the statements nor an error", 0x80070057},
		{"no device's key", []string{"200 " + challenge, "200 " + wrap(`{"report":"e30.e30.e30"}`)}, func(e *mdm.AzureEvidence) {
			e.Certify = func(context.Context, []byte) (*mdm.Statement, *mdm.Statement, error) { return statement, nil, nil }
		}, "", 0},
		{"no report", []string{"200 " + challenge, "200 " + wrap(`{"report":"x"}`)}, nil, "no report", 0x80072F78},
		{"report", []string{"200 " + challenge, "200 " + wrap(`{"report":"e30.e30.e30"}`)}, nil, "", 0},
		{"busy", []string{"503 {}"}, nil, "503", 0x801901F7},
	} {
		ev := good()
		if c.change != nil {
			c.change(ev)
		}
		client := &mdm.Client{HTTPClient: &http.Client{Transport: newScript(c.answers)}}
		item, err := client.AttestAzure(t.Context(), d, p("https://a.test"), ev)
		if c.want == "" {
			if err != nil || item.Name != mdm.ItemAzureBlob || item.Value != base64.StdEncoding.EncodeToString([]byte("e30.e30.e30")) {
				t.Errorf("%s: %+v, %v", c.name, item, err)
			}
			continue
		}
		if e := failure(t, err); !strings.Contains(e.Error(), c.want) || e.HRESULT() != c.code || e.Retryable() != (c.name == "busy") {
			t.Errorf("%s: %v, %#x, %v", c.name, err, e.HRESULT(), e.Retryable())
		}
		if c.name == "TPM fails" && !errors.Is(err, failed) {
			t.Errorf("%v does not wrap the TPM's error", err)
		}
	}
}

// No answer of a service stops the client, or becomes an item that is not a report.
func FuzzAzureAnswers(f *testing.F) {
	f.Add(`{"data":"eyJjaGFsbGVuZ2UiOiJBQUFBIn0"}`, `{"data":"eyJyZXBvcnQiOiJlMzAuZTMwLmUzMCJ9"}`)
	f.Add(`{}`, `{"data":"e30"}`)
	s := &mdm.Statement{PublicArea: []byte{1}, Attest: []byte{2}, Signature: []byte{3}}
	d, p := &mdm.Discovery{PolicyURL: "https://mdm.test/p"}, &mdm.Policy{Azure: &mdm.AzureAttestation{Endpoint: "https://a.test"}}
	f.Fuzz(func(t *testing.T, first, second string) {
		client := &mdm.Client{HTTPClient: &http.Client{Transport: newScript([]string{"200 " + first, "200 " + second})}}
		item, err := client.AttestAzure(t.Context(), d, p, &mdm.AzureEvidence{
			AIK: &otherKey().PublicKey, Key: mdmKey(),
			Certify: func(context.Context, []byte) (*mdm.Statement, *mdm.Statement, error) { return s, nil, nil },
		})
		if text, derr := base64.StdEncoding.DecodeString(item.Value); err == nil && (derr != nil || strings.Count(string(text), ".") != 2) {
			t.Errorf("%q", text)
		}
	})
}
