package drstest_test

import (
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/golang-jwt/jwt/v5"

	"github.com/whiteglove/whiteglove/drs"
	"github.com/whiteglove/whiteglove/drs/drstest"
)

const windowsClient = "38aa3b87-a06d-4817-b275-7a316988d93b"

// A refresh token signs in for the client that it was issued for, which is the default.
func TestRefreshTokenClient(t *testing.T) {
	r := newRig(t)
	in := softSignIn(t, r)
	_, in.RefreshToken = r.userToken(alice)
	if strings.Count(string(in.RefreshToken), ".") < 2 {
		t.Errorf("a refresh token does not look like the service's: %s", string(in.RefreshToken))
	}
	if _, err := r.client.SignIn(t.Context(), r.tenant, in); err != nil {
		t.Error(err)
	}
	in.ClientID = windowsClient
	_, err := r.client.SignIn(t.Context(), r.tenant, in)
	wantError(t, err, "", "another client")
	// Without a device, too.
	form := url.Values{"grant_type": {"refresh_token"}, "refresh_token": {string(in.RefreshToken)}, "client_id": {windowsClient}, "resource": {drstest.JoinResource}}
	if status, body := r.post(form); status != http.StatusBadRequest || !strings.Contains(body["error_description"].(string), "AADSTS70000") {
		t.Errorf("%d %v", status, body)
	}
	form.Set("client_id", drs.BrokerClient)
	if status, body := r.post(form); status != http.StatusOK || body["refresh_token"] == "" {
		t.Errorf("%d %v", status, body)
	}
}

// An access token is requested with a registered redirect URI; another one and an unknown
// client are refused.
func TestRedirects(t *testing.T) {
	r := newRig(t)
	in := softSignIn(t, r)
	in.Password = password
	s, err := r.client.SignIn(t.Context(), r.tenant, in)
	if err != nil {
		t.Fatal(err)
	}
	const office, own = "d3590ed6-52b3-4102-aeff-aad2292ab01c", "00000000-0000-4000-8000-0000000000aa"
	r.server.Clients = map[string][]string{office: {drs.RedirectBroker + "/" + office}, own: {"own://x"}}
	for _, c := range []struct {
		client, redirect string
		want             string // number of the refusal, or ""
	}{
		{"", "", ""},
		{"", drs.RedirectBrokerMDM, ""},
		{"", drs.RedirectMDM, ""},
		{"", drs.RedirectBroker + "/" + drs.BrokerClient, "AADSTS50011"}, // what this module sent before
		{office, "", ""},
		{own, "", "AADSTS50011"},
		{own, "own://x", ""},
		{"00000000-0000-4000-8000-0000000000bb", "", "AADSTS700016"},
	} {
		_, err := r.client.AccessToken(t.Context(), r.tenant, s, &drs.AccessRequest{Resource: drstest.ManagementResource, ClientID: c.client, RedirectURI: c.redirect})
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%q %q: %v", c.client, c.redirect, err)
		}
	}
	if _, err := r.client.SignIn(t.Context(), r.tenant, &drs.SignIn{
		Certificate: in.Certificate, DeviceKey: in.DeviceKey, TransportKey: in.TransportKey, Username: alice, Password: password,
		ClientID: drs.BrokerClient, RedirectURI: "https://a.example/",
	}); err == nil || !strings.Contains(err.Error(), "AADSTS50011") {
		t.Errorf("sign-in: %v", err)
	}
}

// A token for management has the scope for it, and comes with a refresh token and an identity
// token.
func TestManagementScope(t *testing.T) {
	r := newRig(t)
	in := softSignIn(t, r)
	in.Password = password
	s, err := r.client.SignIn(t.Context(), r.tenant, in)
	if err != nil {
		t.Fatal(err)
	}
	token, err := r.client.AccessToken(t.Context(), r.tenant, s, &drs.AccessRequest{Resource: drstest.ManagementResource})
	if err != nil || token.RefreshToken == "" {
		t.Fatalf("%v, refresh token %d bytes", err, len(token.RefreshToken))
	}
	if c := r.claims(token.Token, drstest.ManagementResource); c["scp"] != "mdm_delegation" || c["appid"] != drs.BrokerClient {
		t.Errorf("claims %v", c)
	}
	_, body := r.post(url.Values{"grant_type": {"password"}, "username": {alice}, "password": {password}, "client_id": {drs.BrokerClient}, "resource": {drstest.JoinResource}, "scope": {"openid"}})
	if body["id_token"] == nil || body["refresh_token"] == nil {
		t.Errorf("got %v", body)
	}
}

// Version 2 of the key derivation is the default, though no metadata lists it.
func TestDerive2Default(t *testing.T) {
	r := newRig(t)
	r.server.Derive2 = true
	in := softSignIn(t, r)
	in.Password = password
	s, err := r.client.SignIn(t.Context(), r.tenant, in)
	if err != nil {
		t.Fatal(err)
	}
	if got := r.server.Sessions(); len(got) != 1 || got[0].KDF != 2 {
		t.Errorf("sessions %+v", got)
	}
	if _, err := r.client.Renew(t.Context(), r.tenant, s); err != nil {
		t.Error(err)
	}
	in.KDF = 1
	_, err = r.client.SignIn(t.Context(), r.tenant, in)
	wantError(t, err, "", "kdf_ver")
	in.KDF = 3
	if _, err := r.client.SignIn(t.Context(), r.tenant, in); err == nil || !strings.Contains(err.Error(), "version 3") {
		t.Errorf("got %v", err)
	}
}

// The service need not say how long a primary refresh token is valid.
func TestNoLifetime(t *testing.T) {
	r := newRig(t)
	r.server.NoLifetime = true
	in := softSignIn(t, r)
	in.Password = password
	s, err := r.client.SignIn(t.Context(), r.tenant, in)
	if err != nil || !s.Expires.IsZero() {
		t.Fatalf("%v, %v", err, s)
	}
	renewed, err := r.client.Renew(t.Context(), r.tenant, s)
	if err != nil || !renewed.Expires.IsZero() {
		t.Errorf("%v", err)
	}
}

// A nonce is also requested at common, without a content type, and at version 2.0.
func TestNonceRequests(t *testing.T) {
	r := newRig(t)
	for _, at := range []string{"/common/oauth2/token", "/common/oauth2/v2.0/token", "/organizations/oauth2/token", "/" + drstest.DefaultTenantID + "/oauth2/v2.0/token"} {
		for _, kind := range []string{"", "application/x-www-form-urlencoded"} {
			req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, r.url+at, strings.NewReader("grant_type=srv_challenge"))
			if err != nil {
				t.Fatal(err)
			}
			if kind != "" {
				req.Header.Set("Content-Type", kind)
			}
			res, err := http.DefaultClient.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			body, _ := io.ReadAll(res.Body)
			res.Body.Close()
			if res.StatusCode != http.StatusOK || !strings.Contains(string(body), "Nonce") {
				t.Errorf("%s, %q: %d %s", at, kind, res.StatusCode, body)
			}
		}
	}
	// Discovery has no such tenant.
	if res, err := http.Get(r.url + "/common/Discover?api-version=1.9"); err != nil || res.StatusCode != http.StatusBadRequest {
		t.Errorf("%v, %v", res, err)
	}
}

// An assertion of a user's key may have a nonce of its own, which is taken once.
func TestAssertionNonce(t *testing.T) {
	r := newRig(t)
	in := softSignIn(t, r)
	own := r.nonce()
	request := func(inner string) error {
		text := r.userAssertion(inner, "common")
		status, body := r.sendRequest(in.DeviceKey, in.Certificate, jwt.MapClaims{
			"grant_type": jwtBearer, "assertion": text, "request_nonce": r.nonce(), "client_id": windowsClient, "scope": "aza openid",
		})
		if status != http.StatusOK {
			return &drs.Error{Message: body["error_description"].(string)}
		}
		return nil
	}
	if err := request(own); err != nil {
		t.Error(err)
	}
	wantError(t, request(own), "", "its nonce is not that of the request")
	wantError(t, request("x"), "", "its nonce is not that of the request")
}

// The endpoint of version 2.0 has scopes instead of resources, and numbers.
func TestVersion2(t *testing.T) {
	r := newRig(t)
	r.server.AddUser(drstest.User{UPN: alice, Password: password})
	r.tenant.TokenEndpoint = strings.Replace(r.tenant.TokenEndpoint, "/oauth2/token", "/oauth2/v2.0/token", 1)
	form := url.Values{"grant_type": {"password"}, "username": {alice}, "password": {password}, "client_id": {drs.BrokerClient}}
	for scope, want := range map[string]string{
		drstest.JoinResource + "/.default":                 drstest.JoinResource,
		drstest.ManagementResource + "/.default openid":    drstest.ManagementResource,
		"https://enrollment.manage.microsoft.com/.default": drstest.ManagementResource,
	} {
		form.Set("scope", scope)
		status, body := r.post(form)
		if status != http.StatusOK {
			t.Errorf("%s: %d %v", scope, status, body)
			continue
		}
		if n, ok := body["expires_in"].(float64); !ok || n != 3600 {
			t.Errorf("expires_in is %v", body["expires_in"])
		}
		r.claims(drs.Token(body["access_token"].(string)), want)
	}
	form.Set("resource", drstest.JoinResource)
	if status, body := r.post(form); status != http.StatusBadRequest || !strings.Contains(body["error_description"].(string), "resource") {
		t.Errorf("%d %v", status, body)
	}
}
