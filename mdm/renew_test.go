package mdm_test

import (
	"context"
	"crypto"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"go.mozilla.org/pkcs7"

	"github.com/whiteglove/whiteglove/mdm"
	"github.com/whiteglove/whiteglove/mdm/mdmtest"
)

// startTLS starts s with TLS that asks for client certificates, and returns the
// URL of its discovery and a client that trusts it.
func startTLS(t testing.TB, s *mdmtest.Server) (string, *http.Client) {
	t.Helper()
	if s.TokenKey == nil {
		s.TokenKey = func() *rsa.PublicKey { return &tokenKey().PublicKey }
	}
	h := httptest.NewUnstartedServer(s)
	h.TLS = &tls.Config{ClientAuth: tls.RequestClientCert}
	h.StartTLS()
	t.Cleanup(h.Close)
	return h.URL + mdmtest.DiscoveryPath, h.Client()
}

// An enrolled device and its server.
type enrolled struct {
	*mdm.Enrollment
	server *mdmtest.Server
	client *mdm.Client
	at     *mdm.Discovery
	cert   *x509.Certificate
}

func enrollTLS(t testing.TB, s *mdmtest.Server) *enrolled {
	t.Helper()
	discovery, h := startTLS(t, s)
	e := &enrolled{server: s, client: &mdm.Client{Device: mdm.Device{ID: testDevice}, HTTPClient: h}}
	var err error
	if e.Enrollment, err = enroll(t, e.client, discovery); err != nil {
		t.Fatalf("%v; server: %q", err, s.Refusals())
	}
	e.cert = e.Certificate
	doc, err := mdm.ParseDocument(e.Document)
	if err != nil {
		t.Fatal(err)
	}
	e.at = &mdm.Discovery{EnrollURL: doc.Schedule().Server, EnrollVersion: "5.0"}
	if e.at.EnrollURL == "" {
		e.at.EnrollURL = strings.Replace(discovery, "Discovery", "Enrollment", 1)
	}
	return e
}

func (e *enrolled) renewal() *mdm.Renewal {
	return &mdm.Renewal{Certificate: e.cert, Key: opaque{Signer: mdmKey()}, Issuers: e.Issuers}
}

func (e *enrolled) renew(ctx context.Context, change func(*mdm.Renewal)) (*mdm.Enrollment, error) {
	r := e.renewal()
	if change != nil {
		change(r)
	}
	return e.client.Renew(ctx, e.at, nil, r)
}

func TestRenew(t *testing.T) {
	e := enrollTLS(t, new(mdmtest.Server))
	for _, c := range []struct {
		name   string
		change func(*mdm.Renewal)
		key    crypto.Signer
	}{
		{"same key", nil, mdmKey()},
		{"new key", func(r *mdm.Renewal) { r.NewKey = opaque{Signer: otherKey()} }, otherKey()},
		{"as specified", func(r *mdm.Renewal) { r.SpecType = true }, mdmKey()},
		{"with a token", func(r *mdm.Renewal) { r.Credential = newToken(t) }, mdmKey()},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := e.renew(t.Context(), c.change)
			if err != nil {
				t.Fatalf("%v; server: %q", err, e.server.Refusals())
			}
			cert := got.Certificate
			if cert.Equal(e.cert) || !c.key.Public().(*rsa.PublicKey).Equal(cert.PublicKey) {
				t.Errorf("certificate: %v", err)
			}
			if cert.Subject.CommonName != e.cert.Subject.CommonName || got.ProviderID != e.ProviderID || got.Server != "" ||
				len(got.Issuers) != 2 || !got.Issuers[1].Equal(e.Issuers[1]) {
				t.Errorf("renewal: subject %s, %d issuers, provider %q, server %q", cert.Subject, len(got.Issuers), got.ProviderID, got.Server)
			}
			again := *e
			again.cert = cert
			if _, err := again.renew(t.Context(), func(r *mdm.Renewal) { r.Key = c.key }); err != nil {
				t.Errorf("renewal of the renewed: %v", err)
			}
		})
	}
}

// What a server must not renew, and what a client must not try.
func TestRenewRefused(t *testing.T) {
	e := enrollTLS(t, new(mdmtest.Server))
	foreign := enrollTLS(t, new(mdmtest.Server))
	for _, c := range []struct {
		name   string
		change func(*mdm.Client, *mdm.Discovery, *mdm.Renewal)
		want   string
		code   uint32
		sent   bool
	}{
		{"another key", func(_ *mdm.Client, _ *mdm.Discovery, r *mdm.Renewal) { r.Key = otherKey() }, "another key", 0x80070057, false},
		{"no key", func(_ *mdm.Client, _ *mdm.Discovery, r *mdm.Renewal) { r.Key = nil }, "no key", 0x80070057, false},
		{"no server", func(_ *mdm.Client, d *mdm.Discovery, _ *mdm.Renewal) { d.EnrollURL = "" }, "no URL", 0x80070057, false},
		{"nil issuer", func(_ *mdm.Client, _ *mdm.Discovery, r *mdm.Renewal) { r.Issuers = []*x509.Certificate{nil} }, "issuer 0", 0x80070057, false},
		{"too late", func(c *mdm.Client, _ *mdm.Discovery, _ *mdm.Renewal) {
			c.Now = func() time.Time { return time.Now().Add(366 * 24 * time.Hour) }
		}, "expired", 0x80180016, false},
		{"in clear text", func(_ *mdm.Client, d *mdm.Discovery, _ *mdm.Renewal) { d.EnrollURL = "http://mdm.test/e" }, "not https", 0x8018001A, false},
		{"of another server", func(_ *mdm.Client, _ *mdm.Discovery, r *mdm.Renewal) { r.Certificate = foreign.cert }, "client certificate", 0x80180002, true},
		{"for another device", func(c *mdm.Client, _ *mdm.Discovery, _ *mdm.Renewal) { c.Device.ID = "another" }, "DeviceID", 0x80180019, true},
		{"no issuers known", func(_ *mdm.Client, _ *mdm.Discovery, r *mdm.Renewal) { r.Issuers = nil }, "leads to no trusted root", 0x8018001E, true},
		{"other issuers", func(_ *mdm.Client, _ *mdm.Discovery, r *mdm.Renewal) { r.Issuers = foreign.Issuers }, "leads to no trusted root", 0x8018001E, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			client, d, r := *e.client, *e.at, e.renewal()
			c.change(&client, &d, r)
			got, err := client.Renew(t.Context(), &d, nil, r)
			if got != nil {
				t.Fatal("renewed")
			}
			f := failure(t, err)
			if f.Op != "Renew" || !strings.Contains(f.Error(), c.want) || f.HRESULT() != c.code || (f.HTTPStatus != 0) != c.sent {
				t.Errorf("%v, %#x, status %d", f, f.HRESULT(), f.HTTPStatus)
			}
		})
	}
}

// The signed request is PKCS #7 that another implementation, the one that
// public servers use, reads and verifies; its content is the new request.
func TestRenewalIsPKCS7(t *testing.T) {
	e := enrollTLS(t, new(mdmtest.Server))
	r := &recorder{next: canned{Status: 403}}
	e.client.HTTPClient = &http.Client{Transport: r}
	_, err := e.renew(t.Context(), func(r *mdm.Renewal) { r.NewKey = otherKey() })
	if failure(t, err).HTTPStatus != 403 {
		t.Fatal(err)
	}
	if !strings.Contains(r.bodies[0], "<wst:RequestType>http://docs.oasis-open.org/ws-sx/ws-trust/200512/Renew</wst:RequestType>"+
		`<wsse:BinarySecurityToken ValueType="http://schemas.microsoft.com/windows/pki/2009/01/enrollment#PKCS7" EncodingType=`) {
		t.Error(r.bodies[0])
	}
	der, err := base64.StdEncoding.DecodeString(strings.Trim(base64Content.FindString(r.bodies[0]), "<>"))
	if err != nil {
		t.Fatal(err)
	}
	p7, err := pkcs7.Parse(der)
	if err != nil {
		t.Fatal(err)
	}
	if err := p7.Verify(); err != nil || !p7.GetOnlySigner().Equal(e.cert) {
		t.Errorf("signature: %v", err)
	}
	csr, err := x509.ParseCertificateRequest(p7.Content)
	if err != nil || csr.CheckSignature() != nil || !otherKey().PublicKey.Equal(csr.PublicKey) {
		t.Errorf("content: %v", err)
	}
}

// A server that sends the present certificate again has renewed nothing.
func TestRenewReplayed(t *testing.T) {
	e := enrollTLS(t, new(mdmtest.Server))
	e.client.HTTPClient = &http.Client{Transport: canned{Status: 200, Body: answered(e.Document)}}
	_, err := e.renew(t.Context(), nil)
	if f := failure(t, err); f.HRESULT() != 0x80180024 || !strings.Contains(f.Error(), "not a new one") {
		t.Error(f)
	}
}

// Renewal is refused before its time, and of a server that does not ask for a
// certificate it is known why.
func TestRenewTime(t *testing.T) {
	e := enrollTLS(t, &mdmtest.Server{RenewBefore: 42 * 24 * time.Hour})
	_, err := e.renew(t.Context(), nil)
	if f := failure(t, err); f.HRESULT() != 0x80180016 || f.Remedy() == "" {
		t.Error(f)
	}
	deaf := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusForbidden) }))
	t.Cleanup(deaf.Close)
	e.client.HTTPClient, e.at.EnrollURL = deaf.Client(), deaf.URL
	_, err = e.renew(t.Context(), nil)
	if f := failure(t, err); f.HRESULT() != 0x80190193 || !strings.Contains(f.Error(), "did not ask for the device's certificate") {
		t.Error(f)
	}
}

// Recovery is for devices that are enrolled, and may bring a new key.
func TestRecover(t *testing.T) {
	e := enrollTLS(t, new(mdmtest.Server))
	ask := func(id string) (*mdm.Enrollment, error) {
		client := *e.client
		client.Device.ID = id
		return client.Recover(t.Context(), e.at, nil, &mdm.Request{Credential: newToken(t), Key: otherKey(), Context: extra()})
	}
	got, err := ask(testDevice)
	if err != nil {
		t.Fatalf("%v; server: %q", err, e.server.Refusals())
	}
	if !otherKey().PublicKey.Equal(got.Certificate.PublicKey) || got.Server != e.Server {
		t.Errorf("%+v, %v", got, err)
	}
	_, err = ask("another")
	if f := failure(t, err); f.Op != "Recover" || f.HRESULT() != 0x80180003 {
		t.Error(f)
	}
}

func TestSchedule(t *testing.T) {
	const day = 24 * time.Hour
	renew := func(parms string) string {
		return `<wap-provisioningdoc><characteristic type="CertificateStore"><characteristic type="My"><characteristic type="WSTEP">` +
			`<characteristic type="Renew">` + parms + `</characteristic></characteristic></characteristic></characteristic></wap-provisioningdoc>`
	}
	parm := func(name, value string) string { return `<parm name="` + name + `" value="` + value + `"/>` }
	for _, c := range []struct {
		doc  string
		want mdm.Schedule
	}{
		{"<wap-provisioningdoc/>", mdm.Schedule{Before: 42 * day, Retry: 7 * day}},
		{
			renew(parm("ROBOSupport", "true") + parm("RenewPeriod", "60") + parm("RetryInterval", "4") + parm("ServerURL", "https://mdm.test/r")),
			mdm.Schedule{Server: "https://mdm.test/r", Before: 60 * day, Retry: 4 * day, Automatic: true},
		},
		{renew(parm("RenewalPeriod", "5")), mdm.Schedule{Before: 5 * day, Retry: 5 * day}},
		{renew(parm("RenewPeriod", "1001") + parm("RetryInterval", "99") + parm("ServerURL", "http://mdm.test/r")), mdm.Schedule{Before: 42 * day, Retry: 7 * day}},
		{renew(parm("RenewPeriod", "-1") + parm("RetryInterval", "often")), mdm.Schedule{Before: 42 * day, Retry: 7 * day}},
	} {
		doc, err := mdm.ParseDocument([]byte(c.doc))
		if err != nil {
			t.Fatal(err)
		}
		if got := doc.Schedule(); got != c.want {
			t.Errorf("%s: %+v", c.doc, got)
		}
	}
}

// Of a server that asks for the certificate and refuses all the same, or that
// is not reached, it is not said that it did not ask.
func TestRenewAsked(t *testing.T) {
	e := enrollTLS(t, new(mdmtest.Server))
	curious := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusForbidden) }))
	curious.TLS = &tls.Config{ClientAuth: tls.RequestClientCert}
	curious.StartTLS()
	t.Cleanup(curious.Close)
	e.client.HTTPClient, e.at.EnrollURL = curious.Client(), curious.URL
	_, err := e.renew(t.Context(), nil)
	if f := failure(t, err); f.HRESULT() != 0x80190193 || strings.Contains(f.Error(), "did not ask") {
		t.Error(f)
	}
	e.client.HTTPClient, e.at.EnrollURL = nil, "https://127.0.0.1:1/"
	_, err = e.renew(t.Context(), nil)
	if f := failure(t, err); f.HTTPStatus != 0 || strings.Contains(f.Error(), "did not ask") {
		t.Error(f)
	}
}
