package drstest_test

import (
	"crypto"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/whiteglove/whiteglove/drs"
	"github.com/whiteglove/whiteglove/drs/drstest"
	"github.com/whiteglove/whiteglove/internal/jose"
)

// wantError checks that err is a refusal with a subcode and a reason.
func wantError(t *testing.T, err error, subcode, reason string) {
	t.Helper()
	var e *drs.Error
	if !errors.As(err, &e) || e.Subcode != subcode || !strings.Contains(e.Message, reason) {
		t.Errorf("got %v", err)
	}
}

// post posts a form to the token endpoint.
func (r *rig) post(form url.Values) (int, map[string]any) {
	r.t.Helper()
	res, err := (&http.Client{Transport: r.transport}).PostForm(r.tenant.TokenEndpoint, form)
	if err != nil {
		r.t.Fatal(err)
	}
	defer res.Body.Close()
	var body map[string]any
	if err := json.NewDecoder(res.Body).Decode(&body); err != nil {
		r.t.Fatal(err)
	}
	return res.StatusCode, body
}

func (r *rig) nonce() string {
	_, body := r.post(url.Values{"grant_type": {"srv_challenge"}})
	nonce, _ := body["Nonce"].(string)
	if nonce == "" {
		r.t.Fatalf("got %v", body)
	}
	return nonce
}

const jwtBearer = "urn:ietf:params:oauth:grant-type:jwt-bearer"

// deviceRequest returns the claims of a joined device's request for a token.
func (r *rig) deviceRequest() jwt.MapClaims {
	return jwt.MapClaims{
		"grant_type": "device_token", "resource": drstest.ManagementResource, "client_id": drs.BrokerClient,
		"redirect_uri": "ms-aadj-redir://auth/mdm", "iss": "aad:brokerplugin", "request_nonce": r.nonce(),
	}
}

func (r *rig) sendRequest(key crypto.Signer, cert *x509.Certificate, claims jwt.MapClaims) (int, map[string]any) {
	r.t.Helper()
	text, err := jose.Sign(key, cert, claims)
	if err != nil {
		r.t.Fatal(err)
	}
	return r.post(url.Values{"grant_type": {jwtBearer}, "request": {text}})
}

func TestDeviceToken(t *testing.T) {
	r := newRig(t)
	key := softRSA(t, 2)
	cert, err := r.server.AddDevice(&key.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	status, body := r.sendRequest(key, cert, r.deviceRequest())
	if status != http.StatusOK || body["token_type"] != "Bearer" || body["expires_in"] != "3900" || body["resource"] != drstest.ManagementResource {
		t.Fatalf("%d, %v", status, body)
	}
	claims := jwt.MapClaims{}
	text, _ := body["access_token"].(string)
	if _, err := jwt.ParseWithClaims(text, claims, func(*jwt.Token) (any, error) { return r.server.TokenKey(), nil },
		jwt.WithValidMethods([]string{"RS256"}), jwt.WithAudience(drstest.ManagementResource), jwt.WithTimeFunc(func() time.Time { return r.now }),
		jwt.WithIssuer("https://sts.windows.net/"+drstest.DefaultTenantID+"/")); err != nil {
		t.Fatal(err)
	}
	o := r.server.Objects()[1]
	for name, want := range map[string]any{
		"deviceid": o.DeviceID, "sub": o.DeviceID, "oid": o.ObjectID, "tid": drstest.DefaultTenantID, "idtyp": "device", "ver": "1.0",
	} {
		if claims[name] != want {
			t.Errorf("%s is %v", name, claims[name])
		}
	}
	exp, _ := claims.GetExpirationTime()
	if amr, _ := claims["amr"].([]any); len(amr) != 1 || amr[0] != "rsa" || exp.Sub(r.now) > 65*time.Minute {
		t.Errorf("claims %v", claims)
	}
	// Real clients send one string as x5c.
	token := jwt.NewWithClaims(jwt.SigningMethodRS256, r.deviceRequest())
	token.Header["x5c"] = base64.StdEncoding.EncodeToString(cert.Raw)
	if text, err = token.SignedString(key); err != nil {
		t.Fatal(err)
	}
	if status, body := r.post(url.Values{"grant_type": {jwtBearer}, "request": {text}}); status != http.StatusOK {
		t.Errorf("x5c as a string: %v", body)
	}
}

func TestDeviceTokenRefused(t *testing.T) {
	r := newRig(t)
	key, other := softRSA(t, 2), softRSA(t, 3)
	cert, err := r.server.AddDevice(&key.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	foreign, err := new(drstest.Server).AddDevice(&key.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	used := r.deviceRequest()
	if status, body := r.sendRequest(key, cert, used); status != http.StatusOK {
		t.Fatal(body)
	}
	set := func(name string, v any) jwt.MapClaims {
		c := r.deviceRequest()
		c[name] = v
		return c
	}
	refreshed := set("grant_type", "refresh_token")
	refreshed["iss"] = "x"
	for _, c := range []struct {
		name      string
		key       *rsa.PrivateKey
		cert      *x509.Certificate
		claims    jwt.MapClaims
		code, why string
	}{
		{"another key", other, cert, r.deviceRequest(), "invalid_grant", "signature"},
		{"another directory's certificate", key, foreign, r.deviceRequest(), "invalid_grant", "no device has this certificate"},
		{"no certificate", key, nil, r.deviceRequest(), "invalid_grant", "x5c"},
		{"nonce again", key, cert, used, "invalid_grant", "request_nonce"},
		{"nonce of nobody", key, cert, set("request_nonce", "x"), "invalid_grant", "request_nonce"},
		{"another grant", key, cert, set("grant_type", "password"), "invalid_scope", "not that of a primary refresh token"},
		{"no refresh token", key, cert, set("grant_type", "refresh_token"), "invalid_grant", "the refresh token or code is unknown"},
		{"another resource", key, cert, set("resource", "https://graph.microsoft.com/"), "invalid_resource", "graph"},
		{"another issuer", key, cert, set("iss", "x"), "invalid_grant", "issuer"},
		{"another issuer, with a refresh token", key, cert, refreshed, "invalid_grant", "issuer"},
		{"no client", key, cert, set("client_id", ""), "invalid_request", "client_id"},
		{"expired", key, cert, set("exp", r.now.Add(-time.Hour).Unix()), "invalid_grant", "exp is"},
		{"expired, as a string", key, cert, set("exp", "1"), "invalid_grant", "exp is"},
		{"of the future", key, cert, set("iat", r.now.Add(time.Hour).Unix()), "invalid_grant", "iat is"},
	} {
		status, body := r.sendRequest(c.key, c.cert, c.claims)
		text, _ := body["error_description"].(string)
		if status != http.StatusBadRequest || body["error"] != c.code || !strings.Contains(text, c.why) || body["access_token"] != nil {
			t.Errorf("%s: %d %v", c.name, status, body)
		}
		if log := r.server.Refusals(); !strings.Contains(log[len(log)-1], c.why) {
			t.Errorf("%s: the server wrote down %q", c.name, log[len(log)-1])
		}
	}
	claims := r.deviceRequest()
	r.server.Remove(r.server.Objects()[1].DeviceID)
	if _, body := r.sendRequest(key, cert, claims); body["suberror"] != "device_not_found" {
		t.Errorf("removed device: %v", body)
	}
	claims = r.deviceRequest()
	r.now = r.now.Add(11 * time.Minute)
	if cert, err = r.server.AddDevice(&key.PublicKey); err != nil {
		t.Fatal(err)
	}
	if _, body := r.sendRequest(key, cert, claims); !strings.Contains(body["error_description"].(string), "expired") {
		t.Errorf("expired nonce: %v", body)
	}
}

func TestTokenEndpointRefuses(t *testing.T) {
	r := newRig(t)
	for _, c := range []struct {
		form url.Values
		code string
	}{
		{url.Values{}, "unsupported_grant_type"},
		{url.Values{"grant_type": {"device_code"}}, "unsupported_grant_type"},
		{url.Values{"grant_type": {"password"}}, "invalid_request"},
		{url.Values{"grant_type": {"password"}, "client_id": {"x"}}, "unauthorized_client"},
		{url.Values{"grant_type": {"password"}, "client_id": {drs.BrokerClient}}, "invalid_grant"},
		{url.Values{"grant_type": {"refresh_token"}, "client_id": {drs.BrokerClient}}, "invalid_grant"},
		{url.Values{"grant_type": {"authorization_code"}, "code": {""}, "client_id": {drs.BrokerClient}}, "invalid_grant"},
		{url.Values{"grant_type": {jwtBearer}}, "invalid_request"},
		{url.Values{"grant_type": {jwtBearer}, "assertion": {"a"}, "request": {"b"}}, "invalid_request"},
		{url.Values{"grant_type": {jwtBearer}, "assertion": {"a.b.c"}}, "invalid_grant"},
		{url.Values{"grant_type": {jwtBearer}, "request": {"eyJhbGciOiJub25lIn0.e30."}}, "invalid_grant"},
	} {
		if status, body := r.post(c.form); status != http.StatusBadRequest || body["error"] != c.code {
			t.Errorf("%v: %d %v", c.form, status, body)
		}
	}
	tenant := *r.tenant
	tenant.TokenEndpoint = r.url + "/fabrikam.test/oauth2/token"
	r.tenant = &tenant
	if status, body := r.post(url.Values{"grant_type": {"srv_challenge"}}); status != http.StatusBadRequest || !slices.Contains(body["error_codes"].([]any), any(90002.0)) {
		t.Errorf("another tenant: %d %v", status, body)
	}
}
