package mdmtest_test

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/whiteglove/whiteglove/internal/cms"
	"github.com/whiteglove/whiteglove/mdm"
	"github.com/whiteglove/whiteglove/mdm/mdmtest"
)

// A renewal is a server over TLS with a good request to renew.
type renewal struct {
	*mdmtest.Server
	url  string
	http *http.Client // presents the device's certificate
	cert *x509.Certificate
	body string
}

// A tap keeps the last request that passes.
type tap struct {
	next http.RoundTripper
	body string
}

func (p *tap) RoundTrip(req *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(req.Body)
	if err != nil {
		return nil, err
	}
	p.body = string(body)
	req.Body = io.NopCloser(bytes.NewReader(body))
	return p.next.RoundTrip(req)
}

func startRenewal(t *testing.T) *renewal {
	t.Helper()
	r := &renewal{Server: new(mdmtest.Server)}
	plain := start(t, r.Server)
	h := httptest.NewUnstartedServer(r.Server)
	h.TLS = r.TLSConfig(nil)
	h.StartTLS()
	t.Cleanup(h.Close)
	r.url = h.URL + enrollPath
	r.cert = plain.Enrolled()[0]
	transport := h.Client().Transport.(*http.Transport).Clone()
	transport.TLSClientConfig.Certificates = []tls.Certificate{{Certificate: [][]byte{r.cert.Raw}, PrivateKey: deviceKey()}}
	p := &tap{next: transport}
	r.http = &http.Client{Transport: p}
	_, err := (&mdm.Client{Device: mdm.Device{ID: testDevice}, HTTPClient: r.http}).Renew(t.Context(), &mdm.Discovery{EnrollURL: r.url}, nil,
		&mdm.Renewal{Certificate: r.cert, Key: deviceKey(), Issuers: r.Certificates()})
	if err != nil {
		t.Fatalf("%v; server: %q", err, r.Refusals())
	}
	r.body = p.body
	return r
}

// What a renewal must have is refused if it has it not.
func TestRenewalsRefused(t *testing.T) {
	r := startRenewal(t)
	request := csr(t, &x509.CertificateRequest{Subject: pkix.Name{CommonName: testDevice}, SignatureAlgorithm: x509.SHA256WithRSA}, deviceKey())
	other := csr(t, &x509.CertificateRequest{Subject: pkix.Name{CommonName: otherGUID}, SignatureAlgorithm: x509.SHA256WithRSA}, deviceKey())
	sign := func(content []byte, change func(*cms.Message)) []byte {
		m := &cms.Message{Content: content, Certificate: r.cert}
		if change != nil {
			change(m)
		}
		der, err := cms.Sign(m, deviceKey())
		if err != nil {
			t.Fatal(err)
		}
		return der
	}
	forged, err := cms.Sign(&cms.Message{Content: request, Certificate: r.cert}, otherKey())
	if err != nil {
		t.Fatal(err)
	}
	broken := sign(request, nil)
	broken[len(broken)-1] ^= 1
	with := func(der []byte) string { return withContent(r.body, 0, der) }
	userToken := func(old, with string) string { return strings.Replace(r.body, old, with, 1) }
	expired := goodClaims()
	expired["exp"] = time.Now().Add(-time.Hour).Unix()
	for _, c := range []struct{ name, body, reason string }{
		{"good", r.body, ""},
		{"signed anew", with(sign(request, nil)), ""},
		{"no PKCS #7", with(request), "signed request"},
		{"broken signature", with(broken), "signed request"},
		{"signed by another key", with(forged), "signed request"},
		{"names another certificate", with(sign(request, func(m *cms.Message) { m.Certificate = r.Certificates()[0] })), "signed request"},
		{"no content", with(sign(nil, nil)), "certificate request"},
		{"request of another device", with(sign(other, nil)), "not CN="},
		{"DeviceID of another", strings.Replace(r.body, item("DeviceID", sentDevice), item("DeviceID", otherGUID), 1), "client certificate is of"},
		{"no UsernameToken", strings.ReplaceAll(r.body, "wsse:UsernameToken", "wsse:X"), "UsernameToken"},
		{"another Id", userToken("uuid-cc1", "uuid-dd1"), "UsernameToken with Id"},
		{"another password type", userToken("#PasswordText", "#PasswordDigest"), "UsernameToken with Id"},
		{"expired token", strings.Replace(r.body, r.body[strings.Index(r.body, "<wsse:UsernameToken"):strings.Index(r.body, "</wsse:Security>")],
			`<wsse:BinarySecurityToken ValueType="urn:ietf:params:oauth:token-type:jwt" EncodingType="http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd#base64binary">`+
				encoded(signed(t, jwt.SigningMethodRS256, issuerKey(), expired))+`</wsse:BinarySecurityToken>`, 1), "expired"},
		{"PKCS #10", strings.Replace(r.body, "#PKCS7", "#PKCS10", 1), "PKCS #7 request"},
	} {
		t.Run(c.name, func(t *testing.T) { r.try(t, r.http, c.body, c.reason) })
	}
	t.Run("no client certificate", func(t *testing.T) {
		transport := r.http.Transport.(*tap).next.(*http.Transport).Clone()
		transport.TLSClientConfig.Certificates = nil
		r.try(t, &http.Client{Transport: transport}, r.body, "no client certificate")
	})
	t.Run("expired certificate", func(t *testing.T) {
		r.Now = func() time.Time { return time.Now().Add(366 * 24 * time.Hour) }
		r.try(t, r.http, r.body, "expired")
	})
}

// try sends a renewal, which is to be refused for a reason, or not if there is
// none.
func (r *renewal) try(t *testing.T, h *http.Client, body, reason string) {
	t.Helper()
	refused, issued := len(r.Refusals()), len(r.Enrolled())
	res, err := h.Post(r.url, "application/soap+xml; charset=utf-8", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	record := strings.Join(r.Refusals()[refused:], " ")
	if granted := len(r.Enrolled()) > issued; granted != (reason == "") || granted != (res.StatusCode == http.StatusOK) || !strings.Contains(record, reason) {
		t.Errorf("status %d, granted %t, refusals %q, want %q", res.StatusCode, granted, record, reason)
	}
}

// FuzzServer sends what it likes to the enrollment service, which must answer
// in order and give certificates for the one key whose requests there are.
func FuzzServer(f *testing.F) {
	s := start(f, new(mdmtest.Server))
	f.Add(s.enroll, "QUFBQQ==")
	f.Add(s.policy, "")
	f.Add("<s:Envelope/>", "S0FEUw==")
	f.Fuzz(func(t *testing.T, body, claim string) {
		glove := item("WhiteGlove", "true")
		body = strings.Replace(body, glove, glove+item("AIKPub", claim)+item("AIKAttestationClaim", claim), 1)
		before := len(s.Enrolled())
		req := httptest.NewRequestWithContext(t.Context(), http.MethodPost, s.url+enrollPath, strings.NewReader(body))
		req.Header.Set("Content-Type", "application/soap+xml; charset=utf-8")
		w := httptest.NewRecorder()
		s.ServeHTTP(w, req)
		issued := s.Enrolled()[before:]
		if (w.Code == http.StatusOK) != (len(issued) == 1) || w.Code == http.StatusNotFound {
			t.Errorf("status %d, %d certificates more", w.Code, len(issued))
		}
		for _, c := range issued {
			if !deviceKey().PublicKey.Equal(c.PublicKey) {
				t.Error("a certificate of another key")
			}
		}
	})
}
