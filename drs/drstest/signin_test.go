package drstest_test

import (
	"bytes"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/whiteglove/whiteglove/drs"
	"github.com/whiteglove/whiteglove/drs/drstest"
	"github.com/whiteglove/whiteglove/internal/jose"
	"github.com/whiteglove/whiteglove/internal/rsablob"
)

// All ways to sign in, with all forms of replies, both versions of the key derivation, and both
// forms of session keys.
func TestSignIn(t *testing.T) {
	r := newRig(t)
	in := softSignIn(t, r)
	_, refresh := r.userToken(alice)
	for name, use := range map[string]func(*drs.SignIn){
		"password":      func(q *drs.SignIn) { q.Password = password },
		"refresh token": func(q *drs.SignIn) { q.Username, q.RefreshToken = "", refresh },
		"user's key":    func(q *drs.SignIn) { q.UserKey = softRSA(t, 7) },
	} {
		for form := range drstest.ReplyPlain + 1 {
			own := *in
			use(&own)
			own.KDF = map[bool]int{true: 2, false: 1}[form == drstest.ReplyGCM]
			r.server.Reply, r.server.Strict, r.client.PlainReplies = form, form == drstest.ReplyPlain, form == drstest.ReplyPlain
			s, err := r.client.SignIn(t.Context(), r.tenant, &own)
			if err != nil {
				t.Fatal(name, form, err)
			}
			renewed, err := r.client.Renew(t.Context(), r.tenant, s)
			if err != nil {
				t.Fatal(name, form, err)
			}
			for _, session := range []*drs.Session{s, renewed} {
				token, err := r.client.AccessToken(t.Context(), r.tenant, session, &drs.AccessRequest{Resource: drstest.ManagementResource})
				if err != nil {
					t.Fatal(name, form, err)
				}
				if claims := r.claims(token.Token, drstest.ManagementResource); claims["upn"] != alice || claims["deviceid"] != r.server.Objects()[0].DeviceID || token.Resource != drstest.ManagementResource || !token.Expires.Equal(r.now.Add(time.Hour)) {
					t.Errorf("%s, %d: %v, %+v", name, form, claims, *token)
				}
			}
		}
	}
	if s := r.server.Sessions(); len(s) != 18 || s[0].UPN != alice || s[0].Revoked {
		t.Errorf("%d sessions", len(s))
	}
}

// A renewal replaces an old session key, and the renewed session uses the new one.
func TestRekey(t *testing.T) {
	r := newRig(t)
	in := softSignIn(t, r)
	in.Password = password
	s, err := r.client.SignIn(t.Context(), r.tenant, in)
	if err != nil {
		t.Fatal(err)
	}
	first := keyOf(t, s)
	for _, c := range []struct {
		days int
		same bool
	}{{13, true}, {13, true}, {13, false}} {
		r.now = r.now.AddDate(0, 0, c.days)
		if s, err = r.client.Renew(t.Context(), r.tenant, s); err != nil {
			t.Fatal(err)
		}
		if same := keyOf(t, s) == first; same != c.same || !s.Expires.After(r.now.AddDate(0, 0, 13)) {
			t.Errorf("the same key: %t; expires %v", same, s.Expires)
		}
	}
	if _, err := r.client.AccessToken(t.Context(), r.tenant, s, &drs.AccessRequest{Resource: drstest.ManagementResource}); err != nil {
		t.Error(err)
	}
	r.now = r.now.AddDate(0, 0, 15)
	_, err = r.client.Renew(t.Context(), r.tenant, s)
	wantError(t, err, "", "refresh token has expired")
}

// keyOf returns the encrypted session key in the stored form.
func keyOf(t *testing.T, s *drs.Session) string {
	t.Helper()
	text, err := s.Seal()
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), `"key":"`)
	key, _, _ := strings.Cut(rest, `"`)
	return key
}

func TestSignInRefused(t *testing.T) {
	r := newRig(t)
	in := softSignIn(t, r)
	in.Password = password
	other := softRSA(t, 8)
	for _, c := range []struct {
		name            string
		do              func(q *drs.SignIn)
		subcode, reason string
	}{
		{"wrong password", func(q *drs.SignIn) { q.Password = "x" }, "", "invalid user name or password"},
		{"unknown user", func(q *drs.SignIn) { q.Username = "bob@contoso.test" }, "", "does not exist"},
		{"unknown refresh token", func(q *drs.SignIn) { q.Password, q.RefreshToken = "", "x" }, "", "unknown or was used"},
		{"another key", func(q *drs.SignIn) { q.UserKey = other }, "", "another key than the user's"},
		{"another user's key", func(q *drs.SignIn) { q.UserKey, q.Username = softRSA(t, 7), "bob@contoso.test" }, "", "does not exist"},
		{"another scope", func(q *drs.SignIn) { q.Scope = "openid" }, "", "not that of a primary refresh token"},
		{"second derivation", func(q *drs.SignIn) { q.KDF, r.server.Derive1 = 2, true }, "", "kdf_ver"},
		{"a device of nobody", func(q *drs.SignIn) {
			cert, err := new(drstest.Server).AddDevice(&other.PublicKey)
			if err != nil {
				t.Fatal(err)
			}
			q.Certificate, q.DeviceKey = cert, other
		}, "device_not_found", "no device"},
		{"a device without a transport key", func(q *drs.SignIn) {
			cert, err := r.server.AddDevice(&other.PublicKey)
			if err != nil {
				t.Fatal(err)
			}
			q.Certificate, q.DeviceKey = cert, other
		}, "device_authentication_failed", "no transport key"},
		{"disabled user", func(*drs.SignIn) {
			r.server.AddUser(drstest.User{UPN: alice, Password: password, Disabled: true})
		}, "user_disabled", "disabled"},
	} {
		own := *in
		r.server.Derive1 = false
		c.do(&own)
		s, err := r.client.SignIn(t.Context(), r.tenant, &own)
		var e *drs.Error
		if s != nil || !errors.As(err, &e) || e.Op != "SignIn" {
			t.Errorf("%s: %v, %v", c.name, s, err)
		}
		wantError(t, err, c.subcode, c.reason)
	}
	if s := r.server.Sessions(); len(s) != 0 {
		t.Errorf("%d sessions", len(s))
	}
}

// An assertion of a user's key is valid for one request, whose nonce it has (CVE-2023-35348).
func TestAssertionIsBound(t *testing.T) {
	r := newRig(t)
	in := softSignIn(t, r)
	for _, c := range []struct {
		nonce, audience string
		status          int
	}{{"x", "common", 400}, {"", "common", 400}, {"=", "common", 200}, {"=", "fabrikam.test", 400}} {
		nonce := r.nonce()
		text := r.userAssertion(strings.ReplaceAll(c.nonce, "=", nonce), c.audience)
		status, body := r.sendRequest(in.DeviceKey, in.Certificate, jwt.MapClaims{"grant_type": jwtBearer, "assertion": text, "request_nonce": nonce, "client_id": "38aa3b87-a06d-4817-b275-7a316988d93b", "scope": "aza openid"})
		if status != c.status {
			t.Errorf("nonce %q, audience %q: %d %v", c.nonce, c.audience, status, body)
		}
	}
}

// userAssertion returns an assertion that the user's key signed.
func (r *rig) userAssertion(nonce, audience string) string {
	r.t.Helper()
	sum := sha256.Sum256(rsablob.Marshal(&softRSA(r.t, 7).PublicKey))
	token := jwt.NewWithClaims(jose.RS256{}, jwt.MapClaims{"iss": alice, "aud": audience, "exp": r.now.Add(time.Minute).Unix(), "request_nonce": nonce})
	token.Header["kid"], token.Header["use"] = base64.StdEncoding.EncodeToString(sum[:]), "ngc"
	text, err := token.SignedString(softRSA(r.t, 7))
	if err != nil {
		r.t.Fatal(err)
	}
	return text
}

// A request that a session key signed can be used once, and only with its session and version
// of the key derivation.
func TestSessionRefused(t *testing.T) {
	r := newRig(t)
	in := softSignIn(t, r)
	in.Password, in.KDF = password, 2
	s, err := r.client.SignIn(t.Context(), r.tenant, in)
	if err != nil {
		t.Fatal(err)
	}
	rec := &recorder{next: http.DefaultTransport}
	r.client.HTTPClient = &http.Client{Transport: rec}
	if _, err := r.client.AccessToken(t.Context(), r.tenant, s, &drs.AccessRequest{Resource: drstest.ManagementResource}); err != nil {
		t.Fatal(err)
	}
	heard := rec.forms[len(rec.forms)-1]
	if status, body := r.post(heard); status != http.StatusBadRequest || !strings.Contains(body["error_description"].(string), "request_nonce") {
		t.Errorf("replayed: %d %v", status, body)
	}
	// Changed requests; each key is part of the reason.
	parts := strings.Split(heard.Get("request"), ".")
	for name, change := range map[string]func(header, claims string) (string, string){
		"key derivation": func(h, c string) (string, string) { return strings.Replace(h, `,"kdf_ver":2`, "", 1), c },
		"by the session key": func(h, c string) (string, string) {
			return h, strings.Replace(c, drs.BrokerClient, "38aa3b87-a06d-4817-b275-7a316988d93b", 1)
		},
		"context": func(h, c string) (string, string) { return `{"alg":"HS256","kdf_ver":2}`, c },
		"unknown": func(h, c string) (string, string) { return h, `{}` },
	} {
		h, err := base64.RawURLEncoding.DecodeString(parts[0])
		if err != nil {
			t.Fatal(err)
		}
		c, err := base64.RawURLEncoding.DecodeString(parts[1])
		if err != nil {
			t.Fatal(err)
		}
		head, claims := change(string(h), string(c))
		text := base64.RawURLEncoding.EncodeToString([]byte(head)) + "." + base64.RawURLEncoding.EncodeToString([]byte(claims)) + "." + parts[2]
		if status, body := r.post(url.Values{"grant_type": {jwtBearer}, "request": {text}}); status != http.StatusBadRequest || body["access_token"] != nil || !strings.Contains(body["error_description"].(string), name) {
			t.Errorf("%s: %d %v", name, status, body)
		}
	}
	_, err = r.client.AccessToken(t.Context(), r.tenant, s, &drs.AccessRequest{Resource: "https://graph.microsoft.com/"})
	wantError(t, err, "", "not found in the tenant")
	r.server.Remove(r.server.Objects()[0].DeviceID)
	_, err = r.client.AccessToken(t.Context(), r.tenant, s, &drs.AccessRequest{Resource: drstest.ManagementResource})
	wantError(t, err, "session_revoked", "left or joined again")
}

// SignIn refuses answers that do not match the request.
func TestSignInLies(t *testing.T) {
	other, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	r := newRig(t)
	in := softSignIn(t, r)
	in.Password = password
	idToken := func(claims string) string {
		e := base64.RawURLEncoding.EncodeToString
		return `"id_token":"` + e([]byte(`{"alg":"none"}`)) + "." + e([]byte(claims)) + `."`
	}
	for name, c := range map[string]struct {
		from, to string
		err      error
	}{
		"bearer token":       {`"token_type":"pop"`, `"token_type":"Bearer"`, drs.ErrMalformed},
		"no session key":     {`"session_key_jwe"`, `"x"`, drs.ErrMalformed},
		"no refresh token":   {`"refresh_token"`, `"x"`, drs.ErrMalformed},
		"a lifetime of text": {`"refresh_token_expires_in"`, `"refresh_token_expires_in":"x","x"`, drs.ErrMalformed},
		"another tenant":     {`"id_token"`, idToken(`{"tid":"x"}`) + `,"x"`, drs.ErrTenant},
		"another client":     {`"id_token"`, idToken(`{"aud":"x"}`) + `,"x"`, drs.ErrMalformed},
		"no identity token":  {`"id_token"`, `"id_token":"x","x"`, drs.ErrMalformed},
		"another device's":   {"", "", drs.ErrSession},
		"session key's form": {`"session_key_jwe"`, `"session_key_jwe":"a.b.c.d.e","x"`, drs.ErrMalformed},
	} {
		own := *in
		if name == "another device's" {
			own.TransportKey = other
		}
		c2 := *r.client
		c2.HTTPClient = &http.Client{Transport: rewriter{c.from, c.to}}
		s, err := c2.SignIn(t.Context(), r.tenant, &own)
		var e *drs.Error
		if s != nil || !errors.Is(err, c.err) || !errors.As(err, &e) || e.Op != "SignIn" {
			t.Errorf("%s: %v", name, err)
		}
	}
	s, err := r.client.SignIn(t.Context(), r.tenant, in)
	if err != nil {
		t.Fatal(err)
	}
	r.server.Reply = drstest.ReplyPlain
	c2 := *r.client
	c2.PlainReplies = true
	c2.HTTPClient = &http.Client{Transport: rewriter{`"token_type":"Bearer"`, `"token_type":"pop"`}}
	if _, err := c2.AccessToken(t.Context(), r.tenant, s, &drs.AccessRequest{Resource: drstest.ManagementResource}); !errors.Is(err, drs.ErrMalformed) {
		t.Errorf("no bearer token: %v", err)
	}
}

// A rewriter is a transport that changes answers.
type rewriter struct{ from, to string }

func (w rewriter) RoundTrip(req *http.Request) (*http.Response, error) {
	return rewriterOver{http.DefaultTransport, w}.RoundTrip(req)
}

// A rewriterOver is a rewriter over another transport.
type rewriterOver struct {
	http.RoundTripper
	rewriter
}

func (w rewriterOver) RoundTrip(req *http.Request) (*http.Response, error) {
	res, err := w.RoundTripper.RoundTrip(req)
	if err != nil || w.from == "" {
		return res, err
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		return nil, err
	}
	res.Body = io.NopCloser(bytes.NewReader(bytes.Replace(b, []byte(w.from), []byte(w.to), 1)))
	return res, nil
}

// A browser on the device signs in once with the cookie.
func TestCookie(t *testing.T) {
	r := newRig(t)
	in := softSignIn(t, r)
	in.Password = password
	s, err := r.client.SignIn(t.Context(), r.tenant, in)
	if err != nil {
		t.Fatal(err)
	}
	cookie, err := r.client.Cookie(t.Context(), r.tenant, s, nil)
	if err != nil {
		t.Fatal(err)
	}
	browse := func(value, to string) (int, *url.URL) {
		q := url.Values{"response_type": {"code"}, "client_id": {drs.BrokerClient}, "state": {"s"}, "redirect_uri": {to}}
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, r.tenant.AuthorizeEndpoint+"?"+q.Encode(), nil)
		if err != nil {
			t.Fatal(err)
		}
		if value != "" {
			req.AddCookie(&http.Cookie{Name: drs.CookieName, Value: value})
		}
		res, err := http.DefaultTransport.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		at, err := res.Location()
		if err != nil {
			at = new(url.URL)
		}
		return res.StatusCode, at
	}
	status, at := browse(string(cookie), "ms-aadj-redir://auth/drs")
	code := at.Query().Get("code")
	if status != http.StatusFound || code == "" || at.Query().Get("state") != "s" || at.Host != "auth" {
		t.Fatalf("%d %v, %q", status, at, r.server.Refusals())
	}
	redeem := url.Values{"grant_type": {"authorization_code"}, "code": {code}, "client_id": {drs.BrokerClient}, "redirect_uri": {"ms-aadj-redir://auth/drs"}, "resource": {drstest.JoinResource}}
	if status, body := r.post(redeem); status != http.StatusOK || r.claims(drs.Token(body["access_token"].(string)), drstest.JoinResource)["upn"] != alice {
		t.Errorf("%d %v", status, body)
	}
	if status, _ := r.post(redeem); status != http.StatusBadRequest {
		t.Errorf("code again: %d", status)
	}
	if status, _ := browse(string(cookie), "ms-aadj-redir://auth/drs"); status != http.StatusBadRequest {
		t.Errorf("cookie again: %d", status)
	}
	if status, _ := browse("", "ms-aadj-redir://auth/drs"); status != http.StatusBadRequest {
		t.Errorf("no cookie: %d", status)
	}
	if status, _ := browse(string(cookie), "javascript:x"); status != http.StatusBadRequest {
		t.Errorf("redirection: %d", status)
	}
}

// A cookie has what its request names, and asks for a nonce only if that names none.
func TestCookieClaims(t *testing.T) {
	r := newRig(t)
	in := softSignIn(t, r)
	in.Password = password
	s, err := r.client.SignIn(t.Context(), r.tenant, in)
	if err != nil {
		t.Fatal(err)
	}
	for name, req := range map[string]*drs.CookieRequest{
		"nothing":    nil,
		"everything": {ClientID: "7c9b2a5e-0f4d-4a51-9d3c-1c5d1f6f0a77", RedirectURI: "ms-aadj-redir://auth/drs", Nonce: "n"},
	} {
		cookie, err := r.client.Cookie(t.Context(), r.tenant, s, req)
		if err != nil {
			t.Fatal(err)
		}
		claims := jwt.MapClaims{}
		if _, _, err := jwt.NewParser().ParseUnverified(string(cookie), claims); err != nil {
			t.Fatal(err)
		}
		client, hasClient := claims["ua_client_id"]
		redirect, hasRedirect := claims["ua_redirect_uri"]
		switch {
		case req == nil && (hasClient || hasRedirect || claims["request_nonce"] == ""):
			t.Errorf("%s: %v", name, claims)
		case req != nil && (client != req.ClientID || redirect != req.RedirectURI || claims["request_nonce"] != req.Nonce):
			t.Errorf("%s: %v", name, claims)
		}
	}
}

// A new password ends sessions and refresh tokens.
func TestNewPassword(t *testing.T) {
	r := newRig(t)
	in := softSignIn(t, r)
	in.Password = password
	_, refresh := r.userToken(alice)
	s, err := r.client.SignIn(t.Context(), r.tenant, in)
	if err != nil {
		t.Fatal(err)
	}
	r.server.AddUser(drstest.User{UPN: alice, Password: "another 0ne"})
	_, err = r.client.AccessToken(t.Context(), r.tenant, s, &drs.AccessRequest{Resource: drstest.ManagementResource})
	wantError(t, err, "session_revoked", "left or joined again")
	in.Password, in.RefreshToken = "", refresh
	_, err = r.client.SignIn(t.Context(), r.tenant, in)
	wantError(t, err, "", "unknown or was used")
}
