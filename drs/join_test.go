package drs_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/whiteglove/whiteglove/drs"
	"github.com/whiteglove/whiteglove/internal/rsablob"
)

func discovery(base string) *drs.Discovery {
	return &drs.Discovery{TenantID: tenantID, TenantName: "contoso.test", JoinEndpoint: base + "/EnrollmentServer/device/", JoinVersion: "2.0"}
}

// joinAnswer returns the answer of a service with a certificate.
func joinAnswer(cert *x509.Certificate) string {
	return fmt.Sprintf(`{"Certificate":{"Thumbprint":"%X","RawBody":"%s"},"User":{"Upn":"a@contoso.test"},`+
		`"MembershipChanges":[{"LocalSID":"S-1-5-32-544","AddSIDs":["S-1-12-1-1-2-3-4"]},{"LocalSID":"S-1-5-32-555","AddSIDs":["S-1-12-1-9-9-9-9"]}]}`,
		sha1.Sum(cert.Raw), base64.StdEncoding.EncodeToString(cert.Raw))
}

func request(t testing.TB) *drs.Request {
	return &drs.Request{DeviceToken: &drs.DeviceToken{Token: "t1cket"}, DeviceKey: key(t), TransportKey: &key(t).PublicKey, DisplayName: "device", OSVersion: "10.0"}
}

func TestJoin(t *testing.T) {
	cert := sign(t, entraCertificate(), &key(t).PublicKey)
	var body []byte
	var head http.Header
	var url string
	ts := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ = io.ReadAll(r.Body)
		head, url = r.Header, r.Method+" "+r.URL.String()
		w.WriteHeader(http.StatusCreated)
		io.WriteString(w, joinAnswer(cert))
	}))
	defer ts.Close()
	c := &drs.Client{BaseURL: ts.URL, Now: func() time.Time { return clock }}
	req := request(t)
	req.Nonce, req.Attributes = "nonce", map[string]string{"ReuseDevice": "false", "SharedDevice": "true"}
	dev, err := c.Join(t.Context(), discovery(ts.URL), req)
	if err != nil {
		t.Fatal(err)
	}
	if dev.ID != deviceID || dev.TenantID != tenantID || dev.UPN != "a@contoso.test" || !slices.Equal(dev.AdminSIDs, []string{"S-1-12-1-1-2-3-4"}) || !dev.Certificate.Equal(cert) {
		t.Errorf("got %+v", *dev)
	}
	if url != "POST /EnrollmentServer/device/?api-version=2.0" || head.Get("Authorization") != "Bearer t1cket" || head.Get("Content-Type") != "application/json" {
		t.Errorf("%s, %v", url, head)
	}
	var sent struct {
		CertificateRequest struct {
			Type string
			Data []byte
		}
		TransportKey []byte
		TargetDomain string
		DeviceType   string
		JoinType     *int
		Attributes   map[string]string `json:"attributes"`
	}
	if err := json.Unmarshal(body, &sent); err != nil {
		t.Fatal(err)
	}
	csr, err := x509.ParseCertificateRequest(sent.CertificateRequest.Data)
	if err != nil || csr.CheckSignature() != nil || csr.Subject.String() != "CN=7E980AD9-B86D-4306-9425-9AC066FB014A" || sent.CertificateRequest.Type != "pkcs10" {
		t.Errorf("certificate request: %v, %v", csr, err)
	}
	if len(csr.Extensions) != 1 || csr.Extensions[0].Id.String() != "1.2.840.113556.1.5.284.2.1" || string(csr.Extensions[0].Value) != "\x04\x05nonce" {
		t.Errorf("extensions %v", csr.Extensions)
	}
	if string(sent.TransportKey) != string(rsablob.Marshal(req.TransportKey)) || sent.TargetDomain != "contoso.test" || sent.DeviceType != "Windows" || sent.JoinType == nil || *sent.JoinType != 0 {
		t.Errorf("sent %s", body)
	}
	a := sent.Attributes
	if len(a) != 4 || a["ReuseDevice"] != "false" || a["ReturnClientSid"] != "true" || a["SharedDevice"] != "true" || a["MSA-DDID"] != base64.StdEncoding.EncodeToString([]byte("t1cket")) {
		t.Errorf("attributes %v", a)
	}
	// The caller's request and its attributes are not changed.
	if len(req.Attributes) != 2 {
		t.Errorf("the request was changed: %v", req.Attributes)
	}
}

// Answers that do not match the request are refused.
func TestJoinRefusesAnswers(t *testing.T) {
	other, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	mine := &key(t).PublicKey
	good := joinAnswer(sign(t, entraCertificate(), mine))
	changed := func(f func(*x509.Certificate)) string {
		c := entraCertificate()
		f(c)
		return joinAnswer(sign(t, c, mine))
	}
	for _, c := range []struct {
		name, body string
		err        error
	}{
		{"another key", joinAnswer(sign(t, entraCertificate(), &other.PublicKey)), drs.ErrCertificate},
		{"another thumbprint", strings.Replace(good, `"Thumbprint":"`, `"Thumbprint":"00`, 1), drs.ErrCertificate},
		{"no thumbprint", strings.Replace(good, `"Thumbprint"`, `"X"`, 1), drs.ErrCertificate},
		{"no certificate", `{"Certificate":{"Thumbprint":"DA39A3EE5E6B4B0D3255BFEF95601890AFD80709","RawBody":""}}`, drs.ErrCertificate},
		{"another tenant", changed(func(c *x509.Certificate) { c.ExtraExtensions[2].Value = long(deviceBytes) }), drs.ErrTenant},
		{"no tenant", changed(func(c *x509.Certificate) { c.ExtraExtensions = slices.Delete(c.ExtraExtensions, 2, 3) }), drs.ErrTenant},
		{"another name", changed(func(c *x509.Certificate) { c.Subject.CommonName = tenantID }), drs.ErrCertificate},
		{"no usage", changed(func(c *x509.Certificate) { c.ExtKeyUsage = nil }), drs.ErrCertificate},
		{"another usage", changed(func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth} }), drs.ErrCertificate},
		{"issuer without a common name", changed(func(c *x509.Certificate) { c.Issuer = pkix.Name{Organization: []string{"x"}} }), drs.ErrCertificate},
		{"issued by itself", changed(func(c *x509.Certificate) { c.Issuer = c.Subject }), drs.ErrCertificate},
		{"expired", changed(func(c *x509.Certificate) { c.NotAfter = clock.Add(-time.Second) }), drs.ErrCertificate},
		{"not yet valid", changed(func(c *x509.Certificate) { c.NotBefore = clock.Add(time.Hour) }), drs.ErrCertificate},
		{"members of another type", strings.Replace(good, `[{"LocalSID"`, `7,"x":[{"LocalSID"`, 1), drs.ErrMalformed},
		{"too many members", strings.Replace(good, `["S-1-12-1-1-2-3-4"`, `["S"`+strings.Repeat(`,"S"`, 100), 1), drs.ErrMalformed},
		{"65 members", strings.Replace(good, `"S-1-12-1-1-2-3-4"`, `"S-1-1"`+strings.Repeat(`,"S-1-1"`, 64), 1), drs.ErrMalformed},
		{"a member that is no SID", strings.Replace(good, `"S-1-12-1-1-2-3-4"`, `"S-1-\u001b[2J"`, 1), drs.ErrMalformed},
		{"an empty SID", strings.Replace(good, `"S-1-12-1-1-2-3-4"`, `"S-1-"`, 1), drs.ErrMalformed},
		{"cut off", good[:len(good)/2], drs.ErrMalformed},
	} {
		cl := answering(t, 201, c.body)
		dev, err := cl.Join(t.Context(), discovery(cl.BaseURL), request(t))
		var e *drs.Error
		if !errors.As(err, &e) || !errors.Is(err, c.err) || dev != nil || e.Retryable() || e.HRESULT() != 0x801C03E9 || e.Op != "Join" {
			t.Errorf("%s: %v", c.name, err)
		}
	}
	cl := answering(t, 201, good, "Content-Type", "text/html; charset=utf-8")
	if _, err := cl.Join(t.Context(), discovery(cl.BaseURL), request(t)); !errors.Is(err, drs.ErrMalformed) || !strings.Contains(err.Error(), "text/html") {
		t.Errorf("HTML: %v", err)
	}
	cl = answering(t, 201, good+strings.Repeat(" ", 300<<10))
	if _, err := cl.Join(t.Context(), discovery(cl.BaseURL), request(t)); err == nil || !strings.Contains(err.Error(), "too large") {
		t.Errorf("oversized: %v", err)
	}
	// One group instead of a list, as in the specification, is accepted.
	cl = answering(t, 200, strings.NewReplacer(`[{"LocalSID":"S-1-5-32-544"`, `{"LocalSID":"S-1-5-32-544"`, `,{"LocalSID":"S-1-5-32-555","AddSIDs":["S-1-12-1-9-9-9-9"]}]`, "").Replace(good))
	if dev, err := cl.Join(t.Context(), discovery(cl.BaseURL), request(t)); err != nil || len(dev.AdminSIDs) != 1 {
		t.Errorf("one group: %v", err)
	}
	// At most 64 members are accepted, of at most 256 characters.
	long := "S-1-" + strings.Repeat("9", 252)
	for members, want := range map[string]bool{
		`"` + long + `"`: true, `"` + long + `9"`: false,
		strings.Repeat(`"S-1-9",`, 63) + `"S-1-9"`: true, strings.Repeat(`"S-1-9",`, 64) + `"S-1-9"`: false,
	} {
		cl := answering(t, 200, strings.Replace(good, `"S-1-12-1-1-2-3-4"`, members, 1))
		if _, err := cl.Join(t.Context(), discovery(cl.BaseURL), request(t)); (err == nil) != want || err != nil && !errors.Is(err, drs.ErrMalformed) {
			t.Errorf("%.40s: %v", members, err)
		}
	}
}

// The type of the device's key is sent with where it is kept, and not without.
func TestJoinKeySecurity(t *testing.T) {
	for security, want := range map[string]string{"": "", "SecureEnclave": "RSA"} {
		var sent struct {
			CertificateRequest struct{ KeyType, KeySecurity string }
		}
		ts := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { json.NewDecoder(r.Body).Decode(&sent) }))
		defer ts.Close()
		req := request(t)
		req.KeySecurity = security
		if _, err := (&drs.Client{BaseURL: ts.URL}).Join(t.Context(), discovery(ts.URL), req); err == nil {
			t.Error("an empty answer: no error")
		}
		if got := sent.CertificateRequest; got.KeyType != want || got.KeySecurity != security {
			t.Errorf("%q: %+v", security, got)
		}
	}
}

// The sample of [MS-DVRJ] is read up to the comparison of its key.
func TestJoinSampleAnswer(t *testing.T) {
	body := fmt.Sprintf(`{"Certificate":{"Thumbprint":"d09a73223d16855752c5e820a70540ba6450103e","RawBody":"%s"}}`, base64.StdEncoding.EncodeToString(sample(t, "certificate")))
	cl := answering(t, 200, body)
	_, err := cl.Join(t.Context(), discovery(cl.BaseURL), request(t))
	if !errors.Is(err, drs.ErrCertificate) || !strings.Contains(err.Error(), "another key") {
		t.Errorf("got %v", err)
	}
}

// A join that was authorized beforehand is not sent with a ticket, a token or a proof.
func TestPreAuthorizedAlone(t *testing.T) {
	sent := false
	ts := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { sent = true }))
	defer ts.Close()
	d := discovery(ts.URL)
	d.PrecreateEndpoint = ts.URL + "/precreate"
	for name, change := range map[string]func(*drs.Request){
		"ticket": func(r *drs.Request) {},
		"token":  func(r *drs.Request) { r.DeviceToken, r.UserToken = nil, "t0ken" },
		"proof":  func(r *drs.Request) { r.DeviceToken, r.Proof = nil, new(drs.Proof) },
	} {
		req := request(t)
		req.PreAuthorized = "challenge"
		change(req)
		if _, err := (&drs.Client{BaseURL: ts.URL}).Join(t.Context(), d, req); err == nil || !strings.Contains(err.Error(), "authorized beforehand") || sent {
			t.Errorf("%s: %v, sent %t", name, err, sent)
		}
	}
}

// Without a service for it, a join that was authorized beforehand is not sent.
func TestPreAuthorizedNowhere(t *testing.T) {
	sent := false
	ts := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { sent = true }))
	defer ts.Close()
	for endpoint, want := range map[string]bool{"": false, ts.URL + "/precreate": true} {
		d, req := discovery(ts.URL), request(t)
		d.PrecreateEndpoint = endpoint
		req.DeviceToken, req.PreAuthorized, sent = nil, "challenge", false
		if _, err := (&drs.Client{BaseURL: ts.URL}).Join(t.Context(), d, req); err == nil || sent != want {
			t.Errorf("%q: %v, sent %t", endpoint, err, sent)
		}
	}
}

func TestJoinRefusesRequests(t *testing.T) {
	small, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	failed := errors.New("no TPM")
	sent := false
	ts := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { sent = true }))
	defer ts.Close()
	c := &drs.Client{BaseURL: ts.URL}
	for name, change := range map[string]func(*drs.Request){
		"no token":            func(r *drs.Request) { r.DeviceToken = nil },
		"no device key":       func(r *drs.Request) { r.DeviceKey = nil },
		"small device key":    func(r *drs.Request) { r.DeviceKey = small },
		"device key on P-384": func(r *drs.Request) { r.DeviceKey = p384 },
		"no transport key":    func(r *drs.Request) { r.TransportKey = nil },
		"two keys":            func(r *drs.Request) { r.StorageKey = &ec.PublicKey },
		"storage key on another curve": func(r *drs.Request) {
			r.TransportKey, r.StorageKey = nil, &p384.PublicKey
		},
		"challenge, but no endpoint": func(r *drs.Request) { r.DeviceToken, r.PreAuthorized = nil, "challenge" },
		"no AIK":                     func(r *drs.Request) { r.Attestation = &drs.Attestation{Form: drs.FormBundle} },
		"TPM that fails": func(r *drs.Request) {
			r.Attestation = &drs.Attestation{Form: drs.FormBundle, AIKPublicArea: []byte{1}, Certify: func(context.Context, string, []byte) (*drs.Statement, error) { return nil, failed }}
		},
		"no statement": func(r *drs.Request) {
			r.Attestation = &drs.Attestation{Form: drs.FormBundle, AIKPublicArea: []byte{1}, Certify: func(context.Context, string, []byte) (*drs.Statement, error) { return nil, nil }}
		},
	} {
		req := request(t)
		change(req)
		_, err := c.Join(t.Context(), discovery(ts.URL), req)
		var e *drs.Error
		if !errors.As(err, &e) || sent || strings.Contains(name, "fails") != errors.Is(err, failed) {
			t.Errorf("%s: %v, sent %t", name, err, sent)
		}
	}
}

func FuzzJoinAnswer(f *testing.F) {
	f.Add([]byte(joinAnswer(sign(f, entraCertificate(), &key(f).PublicKey))))
	f.Add([]byte(`{"Certificate":{"Thumbprint":"da39a3ee5e6b4b0d3255bfef95601890afd80709","RawBody":""}}`))
	f.Add([]byte(`{"MembershipChanges":{"AddSIDs":null}}`))
	rt := new(fixed)
	c := &drs.Client{HTTPClient: &http.Client{Transport: rt}, Now: func() time.Time { return clock }}
	d, req := discovery("https://enterpriseregistration.windows.net"), request(f)
	f.Fuzz(func(t *testing.T, b []byte) {
		rt.with(201, b)
		dev, err := c.Join(t.Context(), d, req)
		if err == nil && (dev.ID == "" || !req.TransportKey.Equal(dev.Certificate.PublicKey)) {
			t.Errorf("got %+v", *dev)
		}
	})
}

// A rejoin needs a user's token, and an answer for the same device.
func TestRejoin(t *testing.T) {
	cl := answering(t, 201, joinAnswer(sign(t, entraCertificate(), &key(t).PublicKey)))
	req := request(t)
	if _, err := cl.Rejoin(t.Context(), discovery(cl.BaseURL), deviceID, req); err == nil || !strings.Contains(err.Error(), "user's token") {
		t.Errorf("without a user: %v", err)
	}
	req.UserToken = "u5er"
	if dev, err := cl.Rejoin(t.Context(), discovery(cl.BaseURL), strings.ToUpper(deviceID), req); err != nil || dev.ID != deviceID {
		t.Errorf("the same device: %v", err)
	}
	_, err := cl.Rejoin(t.Context(), discovery(cl.BaseURL), tenantID, req)
	var e *drs.Error
	if !errors.Is(err, drs.ErrDevice) || !errors.As(err, &e) || e.Op != "Rejoin" || e.HRESULT() != 0x801C03E9 || e.Retryable() {
		t.Errorf("another device: %v", err)
	}
}
