package provision_test

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/whiteglove/whiteglove/aik"
	"github.com/whiteglove/whiteglove/attest"
	"github.com/whiteglove/whiteglove/attest/attesttest"
	"github.com/whiteglove/whiteglove/autopilot"
	"github.com/whiteglove/whiteglove/autopilot/graph"
	"github.com/whiteglove/whiteglove/diagnose"
	"github.com/whiteglove/whiteglove/drs"
	"github.com/whiteglove/whiteglove/drs/login"
	"github.com/whiteglove/whiteglove/ekcert"
	"github.com/whiteglove/whiteglove/internal/errtext"
	"github.com/whiteglove/whiteglove/mdm"
	"github.com/whiteglove/whiteglove/mdm/omadm"
	"github.com/whiteglove/whiteglove/prove"
	"github.com/whiteglove/whiteglove/provision"
	"github.com/whiteglove/whiteglove/scep"
)

// A failing service answers no request as it should, and counts them.
type failing struct {
	answer func(*http.Request) (*http.Response, error)
	asked  int
}

func (f *failing) RoundTrip(r *http.Request) (*http.Response, error) {
	f.asked++
	return f.answer(r)
}

// failures are the ways in which services fail.
var failures = map[string]func(*http.Request) (*http.Response, error){
	"refused": func(*http.Request) (*http.Response, error) {
		return nil, &net.OpError{Op: "dial", Net: "tcp", Err: syscall.ECONNREFUSED}
	},
	"unknown root": func(*http.Request) (*http.Response, error) { return nil, x509.UnknownAuthorityError{} },
	"busy":         answering(503, "text/html", "<html><title>Busy</title></html>"),
	"forbidden":    answering(403, "application/json", `{"error":"invalid_grant","error_description":"AADSTS50034: no such user"}`),
	"junk":         answering(200, "text/plain", "junk"),
	"page":         answering(200, "text/html", "<!DOCTYPE html><html><head><title>Zscaler</title></head><body>Sign in at the proxy</body></html>"),
	"barred":       answering(403, "text/html", "<html><body>Blocked by policy</body></html>"),
	"silent":       answering(403, "", ""),
	"half":         answering(200, "application/json", `{"token_type":`),
	"cut":          func(*http.Request) (*http.Response, error) { return nil, io.ErrUnexpectedEOF },
	"HTTP/2": func(*http.Request) (*http.Response, error) {
		return nil, errors.New("stream error: stream ID 1; INTERNAL_ERROR; received from peer")
	},
	"no host": func(*http.Request) (*http.Response, error) {
		return nil, &net.OpError{Op: "dial", Net: "tcp", Err: &net.DNSError{Err: "no such host", Name: "a.test", IsNotFound: true}}
	},
	"wrong name": func(*http.Request) (*http.Response, error) {
		return nil, &tls.CertificateVerificationError{Err: x509.HostnameError{Certificate: &x509.Certificate{DNSNames: []string{"b.test"}}, Host: "a.test"}}
	},
	"late":  func(*http.Request) (*http.Response, error) { return nil, context.DeadlineExceeded },
	"moved": answering(302, "", ""),
}

func answering(status int, kind, body string) func(*http.Request) (*http.Response, error) {
	return func(r *http.Request) (*http.Response, error) {
		h := http.Header{"Content-Type": {kind}, "Location": {"https://elsewhere.test/"}}
		return &http.Response{StatusCode: status, Header: h, Body: io.NopCloser(strings.NewReader(body)), Request: r, ProtoMajor: 1, ProtoMinor: 1}, nil
	}
}

// The texts of errors say nothing twice and have one form of numbers, whatever fails, and
// an error before anything was sent names no service, as if that had answered.
func TestErrorTexts(t *testing.T) {
	ctx := t.Context()
	tpm, _ := newTPM(t, attesttest.Config{})
	ek, err := tpm.EK(ctx)
	if err != nil {
		t.Fatal(err)
	}
	key := createKey(t, tpm, attest.Attest)
	dk, tk := createKey(t, tpm, attest.Sign), createKey(t, tpm, attest.Decrypt)
	curve, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	id := &prove.Identity{TPM: tpm, EK: ek, EKChain: attesttest.Certificates(), AIK: key}
	ekCert, err := attesttest.EKCertificate(ek.Public)
	if err != nil {
		t.Fatal(err)
	}
	id.EKChain = append([]*x509.Certificate{ekCert}, id.EKChain...)
	stranger, _ := newTPM(t, attesttest.Config{Seed: "another"})
	tenant := &drs.Discovery{
		TenantName: "contoso.test", JoinEndpoint: "https://drs.test/join", ProofEndpoint: "https://drs.test/proof", TokenEndpoint: "https://sts.test/token",
		NonceEndpoint: "https://drs.test/nonce", AuthorizeEndpoint: "https://sts.test/authorize", JoinResource: "urn:x", TenantID: "8d3c9f2a-0000-4000-8000-000000000001",
	}
	at := &mdm.Discovery{EnrollURL: "https://mdm.test/enroll", PolicyURL: "https://mdm.test/policy", EnrollVersion: "5.0"}
	cert := id.EKChain[0]
	token := &drs.DeviceToken{Token: "t"}
	join := func(change func(*drs.Request)) *drs.Request {
		r := &drs.Request{DeviceToken: token, DeviceKey: dk, TransportKey: tk.Public().(*rsa.PublicKey)}
		if change != nil {
			change(r)
		}
		return r
	}
	calls := func(h *http.Client) map[string]error {
		d, m := &drs.Client{BaseURL: "https://drs.test", HTTPClient: h}, &mdm.Client{Device: mdm.Device{ID: "x"}, HTTPClient: h}
		s, a := &scep.Client{URL: "https://ca.test/scep", HTTPClient: h}, &aik.Client{URL: "https://aik.test/{authority}", HTTPClient: h}
		e := &ekcert.Client{SCEPURL: "https://maker.test/scep", HTTPClient: h, Services: map[string]ekcert.Fetcher{
			"SIM0": &ekcert.Service{Vendor: "INTC", URL: "https://maker.test/ek", HTTPClient: h},
		}}
		g := &graph.Client{BaseURL: "https://graph.test", HTTPClient: h, Token: func(context.Context) (string, error) { return "t", nil }}
		lg := &login.Client{HTTPClient: h}
		ekRequest, err := id.EKRequest(ctx)
		if err != nil {
			t.Fatal(err)
		}
		activate := *id.AIKRequest()
		activate.Activate = stranger.Activator(ek, key)
		return map[string]error{
			"aik.Enroll":              second(a.Enroll(ctx, id.AIKRequest())),
			"aik.Enroll, nil":         second(a.Enroll(ctx, nil)),
			"aik.Enroll, empty":       second(a.Enroll(ctx, new(aik.Request))),
			"aik.Enroll, other":       second(a.Enroll(ctx, &activate)),
			"aik.Complete, nil":       second(a.Complete(ctx, nil, nil)),
			"aik.Complete, empty":     second(a.Complete(ctx, new(aik.Challenge), nil)),
			"ekcert.Enroll":           second(e.Enroll(ctx, ekRequest)),
			"ekcert.Enroll, nil":      second(e.Enroll(ctx, nil)),
			"ekcert.Enroll, empty":    second(e.Enroll(ctx, new(ekcert.Request))),
			"ekcert.Find":             second(e.Find(ctx, nil, "INTC", ek.Public)),
			"ekcert.Find, service":    second(e.Find(ctx, nil, "SIM0", ek.Public)),
			"ekcert.Find, no key":     second(e.Find(ctx, tpm, "", nil)),
			"ekcert.Find, no TPM":     second(e.Find(ctx, new(attest.TPM), "", ek.Public)),
			"ekcert.Find, other":      second(e.Find(ctx, tpm, "", &curve.PublicKey)),
			"ekcert.Verify":           second(e.Verify(ctx, &ekcert.Certificate{Certificate: cert}, ek.Public)),
			"scep.GetCACaps":          second(s.GetCACaps(ctx, "")),
			"scep.GetCACert":          second(s.GetCACert(ctx, "")),
			"scep.CA":                 second(s.CA(ctx, "")),
			"scep.Enroll, nil":        second(s.Enroll(ctx, nil, nil)),
			"scep.Enroll, empty":      second(s.Enroll(ctx, new(scep.CA), new(scep.Request))),
			"scep.Enroll, key":        second(s.Enroll(ctx, &scep.CA{Recipient: cert, Signer: cert, Chain: id.EKChain}, &scep.Request{CSR: []byte{1}, Signer: softKey{curve}, Certificate: cert})),
			"drs.Discover":            second(d.Discover(ctx, "contoso.test")),
			"drs.Discover, name":      second(d.Discover(ctx, "a b")),
			"drs.Authenticate":        second(d.Authenticate(ctx, tenant, id.Proof())),
			"drs.Authenticate, nil":   second(d.Authenticate(ctx, tenant, nil)),
			"drs.Authenticate, empty": second(d.Authenticate(ctx, tenant, new(drs.Proof))),
			"drs.Nonce":               second(d.Nonce(ctx, tenant, nil)),
			"drs.Join":                second(d.Join(ctx, tenant, join(nil))),
			"drs.Join, nil":           second(d.Join(ctx, tenant, nil)),
			"drs.Join, empty":         second(d.Join(ctx, tenant, new(drs.Request))),
			"drs.Join, no token":      second(d.Join(ctx, tenant, join(func(r *drs.Request) { r.DeviceToken = nil }))),
			"drs.Join, attestation": second(d.Join(ctx, tenant, join(func(r *drs.Request) {
				r.Attestation = id.JoinAttestation(nil, nil, nil)
				r.Attestation.Form = drs.FormBundle
			}))),
			"drs.Join, device key":     second(d.Join(ctx, tenant, join(func(r *drs.Request) { r.DeviceKey = badKey{} }))),
			"drs.Rejoin":               second(d.Rejoin(ctx, tenant, "x", join(nil))),
			"drs.Leave":                d.Leave(ctx, tenant, &drs.Device{ID: "8d3c9f2a-0000-4000-8000-000000000002", Certificate: cert}, dk),
			"drs.Leave, nil":           d.Leave(ctx, tenant, nil, dk),
			"drs.SignIn":               second(d.SignIn(ctx, tenant, &drs.SignIn{Certificate: cert, DeviceKey: dk, TransportKey: tk, Username: "a", Password: "b"})),
			"drs.SignIn, nil":          second(d.SignIn(ctx, tenant, nil)),
			"drs.SignIn, empty":        second(d.SignIn(ctx, tenant, new(drs.SignIn))),
			"drs.AccessToken":          second(d.AccessToken(ctx, tenant, nil, nil)),
			"drs.AccessToken, session": second(d.AccessToken(ctx, tenant, new(drs.Session), &drs.AccessRequest{Resource: "x"})),
			"drs.Cookie":               second(d.Cookie(ctx, tenant, nil, nil)),
			"drs.Renew":                second(d.Renew(ctx, tenant, nil)),
			"drs.JoinHybrid":           second(d.JoinHybrid(ctx, tenant, nil, nil)),
			"drs.Realm":                second(d.Realm(ctx, tenant, "a@contoso.test")),
			"drs.Realm, name":          second(d.Realm(ctx, tenant, "")),
			"login.Password":           second(lg.Password(ctx, tenant, "a", "b")),
			"login.DeviceCode":         second(lg.DeviceCode(ctx, tenant, func(context.Context, *login.Code) error { return nil })),
			"mdm.Discover":             second(m.Discover(ctx, "https://mdm.test/discovery", "")),
			"mdm.Discover, address":    second(m.Discover(ctx, "mdm.test", "")),
			"mdm.Policy":               second(m.Policy(ctx, at, mdm.OpaqueToken("t"))),
			"mdm.Policy, nil":          second(m.Policy(ctx, nil, nil)),
			"mdm.Enroll":               second(m.Enroll(ctx, at, nil, &mdm.Request{Credential: mdm.OpaqueToken("t"), Key: dk})),
			"mdm.Enroll, nil":          second(m.Enroll(ctx, at, nil, nil)),
			"mdm.Enroll, curve":        second(m.Enroll(ctx, at, nil, &mdm.Request{Credential: mdm.OpaqueToken("t"), Key: curve})),
			"mdm.Enroll, key":          second(m.Enroll(ctx, at, nil, &mdm.Request{Credential: mdm.OpaqueToken("t"), Key: badKey{}})),
			"mdm.Renew":                second(m.Renew(ctx, at, nil, nil)),
			"mdm.AttestAzure":          second(m.AttestAzure(ctx, at, &mdm.Policy{Azure: &mdm.AzureAttestation{Endpoint: "https://azure.test/"}}, id.AzureEvidence(dk, nil))),
			"mdm.AttestAzure, nil":     second(m.AttestAzure(ctx, nil, nil, nil)),
			"mdm.Exchange":             second((&mdm.TokenClient{Endpoint: "https://sts.test/token", HTTPClient: h}).Exchange(ctx, &mdm.TokenRequest{Certificate: cert, DeviceKey: dk})),
			"mdm.Exchange, nil":        second((&mdm.TokenClient{Endpoint: "https://sts.test/token", HTTPClient: h}).Exchange(ctx, nil)),
			"omadm.Run":                second((&omadm.Session{Server: "https://mdm.test/session", Certificate: cert, Key: dk, HTTPClient: h}).Run(ctx)),
			"omadm.Run, empty":         second((&omadm.Session{}).Run(ctx)),
			"graph.Device":             second(g.Device(ctx, "8d3c9f2a-0000-4000-8000-000000000002")),
			"graph.Device, id":         second(g.Device(ctx, "")),
			"graph.Import":             second(g.Import(ctx, "x")),
			"autopilot.Download":       second((&autopilot.ProfileClient{URL: "https://ztd.test/", HTTPClient: h, Ticket: func(context.Context) (string, error) { return "t", nil }}).Download(ctx, nil)),
			"attest.Certify":           second(stranger.Certify(ctx, dk, key, nil)),
			"attest.LoadKey":           second(tpm.LoadKey(ctx, []byte("x"))),
			"attest.ReadNV":            second(tpm.ReadNV(ctx, 0x01C0FFFF)),
			"attest.Activate":          second(stranger.ActivateCredential(ctx, ek, key, &attest.Credential{Blob: []byte{1}, EncryptedSecret: []byte{1}})),
			"attest.PublicKey":         second(attest.PublicKey([]byte{1, 2, 3})),
			"attest.nil":               second((*attest.TPM)(nil).Info(ctx)),
			"prove.FindEK":             func() error { _, _, err := prove.FindEK(ctx, new(attest.TPM), e, ""); return err }(),
			"provision.Run":            second((&provision.Provisioner{TPM: tpm, Tenant: "contoso.test", DRS: d, HTTPClient: h, Steps: []provision.Step{provision.StepDiscover}, Backoff: never}).Run(ctx)),
			"provision.Run, ek":        second((&provision.Provisioner{TPM: tpm, HTTPClient: h, Tenant: "contoso.test", Steps: []provision.Step{provision.StepEK, provision.StepAIK}, AIK: a, Backoff: never}).Run(ctx)),
			"provision.Run, join":      second((&provision.Provisioner{TPM: tpm, HTTPClient: h, Tenant: "contoso.test", Steps: []provision.Step{provision.StepJoin}}).Run(ctx)),
			"provision.Run, empty":     second(new(provision.Provisioner).Run(ctx)),
		}
	}
	for kind, answer := range failures {
		for name, err := range calls(&http.Client{Transport: &failing{answer: answer}}) {
			checkText(t, kind+", "+name, err)
		}
	}
	// A local error names no service.
	for name, err := range calls(&http.Client{Transport: &failing{answer: func(*http.Request) (*http.Response, error) { return nil, errSent }}}) {
		var at interface {
			error
			Service() string
		}
		if err != nil && !errors.Is(err, errSent) && errors.As(err, &at) && at.Service() != "" {
			t.Errorf("%s: nothing was sent, and the error names %s: %v", name, at.Service(), err)
		}
	}
}

var errSent = errors.New("sent")

// A badKey is of a kind that nothing supports.
type badKey struct{}

func (badKey) Public() crypto.PublicKey { return ed25519.PublicKey(make([]byte, 32)) }

func (badKey) Sign(io.Reader, []byte, crypto.SignerOpts) ([]byte, error) {
	return nil, errors.New("it signs nothing")
}

// A softKey is a key that cannot decrypt.
type softKey struct{ *ecdsa.PrivateKey }

func (softKey) Decrypt(io.Reader, []byte, crypto.DecrypterOpts) ([]byte, error) {
	return nil, errors.New("it decrypts nothing")
}

func never(provision.Step, int, error) time.Duration { return 0 }

func second[T any](_ T, err error) error { return err }

func checkText(t *testing.T, name string, err error) {
	t.Helper()
	if err == nil {
		return
	}
	if testing.Verbose() {
		t.Logf("%s: %v", name, err)
	}
	d := diagnose.Explain(err)
	for _, text := range []string{err.Error(), d.String()} {
		for _, fault := range errtext.Faults(text) {
			t.Errorf("%s: %s: %s", name, fault, text)
		}
	}
	if testing.Verbose() {
		t.Logf("        = %v", d)
	}
	if d.Remedy == "" {
		t.Errorf("%s: no remedy: %v", name, err)
	}
}

// The name of a step is said once, also if it is that of a package or of its operation.
func TestStepSaidOnce(t *testing.T) {
	for text, err := range map[string]error{
		"provision: join: drs: https://a.test/: 404": &provision.Error{Step: provision.StepJoin, Err: &drs.Error{Op: "Join", URL: "https://a.test/", HTTPStatus: 404}},
		"provision: aik: request: incomplete":        &provision.Error{Step: provision.StepAIK, Err: &aik.Error{Op: "request", Err: errors.New("incomplete")}},
		"provision: join: full":                      &provision.Error{Step: provision.StepJoin, Err: errors.New("full")},
		"provision: no TPM":                          &provision.Error{Err: errors.New("no TPM")},
	} {
		if err.Error() != text {
			t.Errorf("%q, not %q", err, text)
		}
	}
}
