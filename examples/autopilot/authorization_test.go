package main

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"math/big"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/whiteglove/whiteglove/attest"
	"github.com/whiteglove/whiteglove/attest/attesttest"
	"github.com/whiteglove/whiteglove/autopilot/autopilottest"
	"github.com/whiteglove/whiteglove/examples/internal/exampletest"
)

// testKey returns an RSA public key that nobody has the private key of.
func testKey() *rsa.PublicKey {
	n := new(big.Int).Lsh(big.NewInt(1), 2047)
	return &rsa.PublicKey{N: n.Add(n, big.NewInt(12345)), E: 65537}
}

// certificate returns a certificate for a key.
func certificate(t *testing.T, pub crypto.PublicKey) *x509.Certificate {
	t.Helper()
	ca, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)},
		&x509.Certificate{SerialNumber: big.NewInt(2)}, pub, ca)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return cert
}

// authority returns the certificate of a CA.
func authority(t *testing.T) *x509.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return cert
}

func testCertificate(t *testing.T) *x509.Certificate { return certificate(t, testKey()) }

// tokens is a token endpoint that checks what a client sends.
type tokens struct {
	t       *testing.T
	key     crypto.PublicKey // of the client's certificate
	x5t     string
	pending atomic.Int32 // how often the person has not signed in yet
	base    string
}

func (s *tokens) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if err := r.ParseForm(); err != nil || r.PostForm.Get("client_id") != "app" {
		http.Error(w, `{"error":"invalid_client"}`, http.StatusBadRequest)
		return
	}
	refuse := func(code string) {
		w.WriteHeader(http.StatusBadRequest)
		json.NewEncoder(w).Encode(map[string]string{"error": code, "error_description": "the mock says so"})
	}
	answer := func(v map[string]any) { json.NewEncoder(w).Encode(v) }
	f := r.PostForm
	switch {
	case r.URL.Path == "/contoso.test/oauth2/v2.0/devicecode":
		answer(map[string]any{"device_code": "dc", "user_code": "ABCD", "verification_uri": "https://sign.in", "interval": 0, "expires_in": 900})
	case f.Get("grant_type") == "urn:ietf:params:oauth:grant-type:device_code" && f.Get("device_code") == "dc":
		if s.pending.Add(-1) >= 0 {
			refuse("authorization_pending")
			return
		}
		answer(map[string]any{"access_token": "good", "expires_in": 3600})
	case f.Get("client_secret") == "hush" && f.Get("scope") == ownScope:
		answer(map[string]any{"access_token": "good", "expires_in": 3600})
	case f.Get("client_assertion") != "":
		parsed, err := jwt.Parse(f.Get("client_assertion"), func(t *jwt.Token) (any, error) {
			if t.Header["x5t#S256"] != s.x5t {
				return nil, jwt.ErrTokenUnverifiable
			}
			return s.key, nil
		}, jwt.WithValidMethods([]string{"RS256"}), jwt.WithAudience(s.base+"/contoso.test/oauth2/v2.0/token"), jwt.WithIssuer("app"), jwt.WithSubject("app"), jwt.WithExpirationRequired())
		if err != nil || !parsed.Valid {
			s.t.Error(err)
			refuse("invalid_client")
			return
		}
		answer(map[string]any{"access_token": "good", "expires_in": 3600})
	default:
		refuse("unauthorized_client")
	}
}

// The three ways to get a token, each up to a device that is registered.
func TestAuthorizations(t *testing.T) {
	service := &autopilottest.Server{Token: func(token string) error {
		if token != "good" {
			return http.ErrNoCookie
		}
		return nil
	}}
	graph := httptest.NewServer(service)
	defer graph.Close()
	dir := t.TempDir()
	spec := "soft:" + filepath.Join(dir, "tpm")
	keyFile, cert := tpmKey(t, filepath.Join(dir, "tpm"))
	sum := sha256.Sum256(cert.Raw)
	endpoint := &tokens{t: t, key: cert.PublicKey, x5t: base64.RawURLEncoding.EncodeToString(sum[:])}
	endpoint.pending.Store(2)
	authority := httptest.NewServer(endpoint)
	defer authority.Close()
	endpoint.base = authority.URL
	base := []string{"-graph", graph.URL, "-authority", authority.URL, "-tenant", "contoso.test", "-client-id", "app", "-until", "submitted"}
	file := mockFile(t)
	for name, tt := range map[string]struct {
		args []string
		code int
		errs string
	}{
		"device code":         {nil, 0, "sign in at https://sign.in with the code ABCD"},
		"secret":              {[]string{"-client-secret", "@" + exampletest.File(t, []byte("hush\n"))}, 0, ""},
		"wrong secret":        {[]string{"-client-secret", "shout"}, 1, "unauthorized_client"},
		"certificate":         {[]string{"-client-cert", exampletest.Roots(t, cert), "-client-key", keyFile, "-tpm", spec}, 0, ""},
		"another certificate": {[]string{"-client-cert", exampletest.Roots(t, testCertificate(t)), "-client-key", keyFile, "-tpm", spec}, 2, "for another key"},
		"no key":              {[]string{"-client-cert", exampletest.Roots(t, cert), "-client-key", exampletest.File(t, []byte("hello")), "-tpm", spec}, 2, "-client-key "},
		"empty token":         {[]string{"-token", ""}, 2, "-token has an empty value"},
		"token":               {[]string{"-token", "good"}, 0, ""},
		"wrong token":         {[]string{"-token", "bad"}, 1, "401"},
	} {
		code, out, errs := try(t, append(append(append([]string{}, base...), tt.args...), "import", file)...)
		if code != tt.code || !strings.Contains(errs, tt.errs) || strings.Contains(out+errs, "hush") {
			t.Errorf("%s: %d: %s%s", name, code, out, errs)
		}
	}
}

// Without a token nothing is asked of the service, and what is said is of the token endpoint.
func TestNoToken(t *testing.T) {
	file := mockFile(t)
	for name, tt := range map[string]struct {
		status       int
		answer, want string
	}{
		"page":     {200, "<html><title>Sign in</title>", ": the answer is a web page (HTML) (0x8007000D ERROR_INVALID_DATA). A proxy or a portal answers in the service's place: sign in there, or let the address pass. If there is none, check -authority.\n"},
		"portal":   {403, "<html><title>Sign in</title>", ": HTTP status 403: the answer is a web page (HTML) (0x80190193 HTTP_E_STATUS_FORBIDDEN). A proxy or a portal answers"},
		"nothing":  {404, "", ": HTTP status 404 (0x80190194 HTTP_E_STATUS_NOT_FOUND). There is no token endpoint at this address: check -authority and -tenant.\n"},
		"text":     {200, "hello", ": the answer is not that of a token endpoint: it is not JSON (at byte 1) (0x8007000D ERROR_INVALID_DATA). Check -authority, and whether a proxy answers in its place.\n"},
		"no token": {200, "{}", ": the answer has no access_token (0x8007000D ERROR_INVALID_DATA). Check -authority"},
		"busy":     {503, "down", ": HTTP status 503: \"down\" (0x801901F7 HTTP_E_STATUS_SERVICE_UNAVAIL); may pass. The service is busy"},
		"client":   {401, `{"error":"invalid_client","error_description":"AADSTS7000215"}`, `: HTTP status 401: OAuth invalid_client: "AADSTS7000215" (0x80190191 HTTP_E_STATUS_DENIED). Check -client-id, and -client-secret or`},
		"closed":   {0, "", ": nothing listens at "},
	} {
		authority := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(tt.status)
			w.Write([]byte(tt.answer))
		}))
		if tt.status == 0 {
			authority.Close()
		}
		code, out, errs := try(t, "-graph", "https://127.0.0.1:1", "-authority", authority.URL, "-tenant", "contoso.test", "-client-id", "app", "-client-secret", "hush", "-pause", "1ms", "import", file)
		if want := "autopilot: Token " + authority.URL + "/contoso.test/oauth2/v2.0/token" + tt.want; code != 1 || out != "" || !strings.HasPrefix(errs, want) || strings.Contains(errs, "bug") {
			t.Errorf("%s: %d: %s%s", name, code, out, errs)
		}
		authority.Close()
	}
}

// tpmKey makes a key in the emulated TPM with a state file, and returns the file of
// the key and a certificate for it.
func tpmKey(t *testing.T, state string) (string, *x509.Certificate) {
	t.Helper()
	chip, err := attesttest.New(attesttest.Config{StateFile: state})
	if err != nil {
		t.Fatal(err)
	}
	defer chip.Close()
	key, err := (&attest.TPM{Transport: chip}).CreateKey(t.Context(), attest.Template{Usage: attest.Sign})
	if err != nil {
		t.Fatal(err)
	}
	text, err := key.MarshalText()
	if err != nil {
		t.Fatal(err)
	}
	return exampletest.File(t, text), certificate(t, key.Public())
}
