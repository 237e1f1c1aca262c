package mdmtest_test

import (
	"bytes"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/whiteglove/whiteglove/mdm"
	"github.com/whiteglove/whiteglove/mdm/mdmtest"
)

const (
	testDevice = "0d9e0f0a-6d35-4b7e-8c11-3a0f5b1c2d3e"
	testZTD    = "7a1c2f5e-93b4-4d0a-8e6f-1b2c3d4e5f60"
	sentDevice = "0d9e0f0a6d354b7e8c113a0f5b1c2d3e" // testDevice as a client sends it
	otherGUID  = "99999999-2222-4333-8444-555555555555"
)

// Keys are made once: they take long.
var (
	issuerKey = sync.OnceValue(newKey)
	deviceKey = sync.OnceValue(newKey)
	otherKey  = sync.OnceValue(newKey)
)

func newKey() *rsa.PrivateKey {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return nil // every test fails on it
	}
	return key
}

// goodClaims are those of a token as the directory issues it.
func goodClaims() jwt.MapClaims {
	now := time.Now()
	return jwt.MapClaims{
		"aud": mdmtest.DefaultResource, "iss": "https://sts.windows.net/" + mdmtest.DefaultTenantID + "/",
		"tid": mdmtest.DefaultTenantID, "idtyp": "device", "deviceid": testDevice, "sub": testDevice,
		"iat": now.Unix(), "nbf": now.Unix(), "exp": now.Add(time.Hour).Unix(),
	}
}

// signed returns a token with claims.
func signed(t testing.TB, method jwt.SigningMethod, key any, claims jwt.MapClaims) string {
	t.Helper()
	text, err := jwt.NewWithClaims(method, claims).SignedString(key)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// A setting is a server with three good requests to it.
type setting struct {
	*mdmtest.Server
	url                      string
	discover, policy, enroll string
}

// start starts a server and records what an honest device sends.
func start(t testing.TB, s *mdmtest.Server) *setting {
	t.Helper()
	s.TokenKey = func() *rsa.PublicKey { return &issuerKey().PublicKey }
	h := httptest.NewServer(s)
	t.Cleanup(h.Close)
	r := new(recorder)
	c := &mdm.Client{Device: mdm.Device{ID: testDevice}, HTTPClient: &http.Client{Transport: r}}
	token := mdm.Token(signed(t, jwt.SigningMethodRS256, issuerKey(), goodClaims()))
	d, err := c.Discover(t.Context(), h.URL+mdmtest.DiscoveryPath, "")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Policy(t.Context(), d, token); err != nil {
		t.Fatal(err)
	}
	_, err = c.Enroll(t.Context(), d, nil, &mdm.Request{
		Credential: token, Key: deviceKey(),
		Context: []mdm.Item{{Name: mdm.ItemZeroTouch, Value: testZTD}, {Name: mdm.ItemWhiteGlove, Value: "true"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	return &setting{s, h.URL, r.bodies[0], r.bodies[1], r.bodies[2]}
}

// A recorder keeps the POSTs that pass.
type recorder struct{ bodies []string }

func (r *recorder) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.Method == http.MethodPost {
		body, err := io.ReadAll(req.Body)
		if err != nil {
			return nil, err
		}
		r.bodies = append(r.bodies, string(body))
		req.Body = io.NopCloser(bytes.NewReader(body))
	}
	return http.DefaultTransport.RoundTrip(req)
}

// send posts a body to the path of a service and returns status and answer.
func (s *setting) send(t testing.TB, path, body string) (int, string) {
	t.Helper()
	res, err := http.Post(s.url+path, "application/soap+xml; charset=utf-8", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(answer)
}

const (
	discoverPath = mdmtest.DiscoveryPath
	policyPath   = "/EnrollmentServer/Policy.svc"
	enrollPath   = "/EnrollmentServer/Enrollment.svc"
)

var longBase64 = regexp.MustCompile(`>[A-Za-z0-9+/=]{200,}<`)

// withToken puts another token into a request.
func withToken(body, token string) string {
	return withContent(body, 0, []byte(token))
}

// withCSR puts another certificate request into a request.
func withCSR(body string, der []byte) string {
	return withContent(body, 1, der)
}

func withContent(body string, n int, content []byte) string {
	at := longBase64.FindAllStringIndex(body, -1)[n]
	return body[:at[0]] + ">" + base64.StdEncoding.EncodeToString(content) + "<" + body[at[1]:]
}

// csr makes a certificate request.
func csr(t testing.TB, template *x509.CertificateRequest, key any) []byte {
	t.Helper()
	der, err := x509.CreateCertificateRequest(rand.Reader, template, key)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

func encoded(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }
