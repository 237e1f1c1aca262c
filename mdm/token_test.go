package mdm_test

import (
	"crypto"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/whiteglove/whiteglove/drs/drstest"
	"github.com/whiteglove/whiteglove/mdm"
	"github.com/whiteglove/whiteglove/mdm/mdmtest"
)

// directory starts a directory with one joined device.
func directory(t *testing.T) (*drstest.Server, *mdm.TokenClient, *mdm.TokenRequest) {
	t.Helper()
	s := new(drstest.Server)
	h := httptest.NewServer(s)
	t.Cleanup(h.Close)
	cert, err := s.AddDevice(&otherKey().PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	return s, &mdm.TokenClient{Endpoint: h.URL + "/" + drstest.DefaultTenantID + "/oauth2/token"},
		&mdm.TokenRequest{Certificate: cert, DeviceKey: opaque{Signer: otherKey()}}
}

// The token of a joined device enrolls it: directory and management server are
// those of this module, by different authors.
func TestExchange(t *testing.T) {
	dir, tokens, req := directory(t)
	token, err := tokens.Exchange(t.Context(), req)
	if err != nil {
		t.Fatalf("%v; directory: %q", err, dir.Refusals())
	}
	server := &mdmtest.Server{TokenKey: dir.TokenKey, Issuer: dir.Issuer(), TenantID: drstest.DefaultTenantID}
	h := httptest.NewServer(server)
	t.Cleanup(h.Close)
	c := &mdm.Client{Device: mdm.Device{ID: req.Certificate.Subject.CommonName}}
	d, err := c.Discover(t.Context(), h.URL+mdmtest.DiscoveryPath, "")
	if err != nil {
		t.Fatal(err)
	}
	e, err := c.Enroll(t.Context(), d, nil, &mdm.Request{Credential: token, Key: mdmKey(), Context: extra()})
	if err != nil {
		t.Fatalf("%v; server: %q", err, server.Refusals())
	}
	if !mdmKey().PublicKey.Equal(e.Certificate.PublicKey) {
		t.Errorf("certificate of %v", e.Certificate.PublicKey)
	}
}

// The token of a user on a joined device enrolls it for that user.
func TestExchangeUserEnrolls(t *testing.T) {
	dir, tokens, req := directory(t)
	dir.AddUser(drstest.User{UPN: "ada@contoso.test", Password: "pa55"})
	res, err := http.PostForm(tokens.Endpoint, url.Values{
		"grant_type": {"password"}, "client_id": {"29d9ed98-a469-4536-ade2-f981bc1d605e"}, "username": {"ada@contoso.test"}, "password": {"pa55"},
		"resource": {drstest.JoinResource}, "scope": {"openid"},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	var user struct {
		RefreshToken string `json:"refresh_token"`
	}
	if err := json.NewDecoder(res.Body).Decode(&user); err != nil || user.RefreshToken == "" {
		t.Fatalf("%v; directory: %q", err, dir.Refusals())
	}
	req.RefreshToken = mdm.Token(user.RefreshToken)
	token, err := tokens.Exchange(t.Context(), req)
	if err != nil {
		t.Fatalf("%v; directory: %q", err, dir.Refusals())
	}
	server := &mdmtest.Server{TokenKey: dir.TokenKey, Issuer: dir.Issuer(), TenantID: drstest.DefaultTenantID, Users: func(string) bool { return true }}
	h := httptest.NewServer(server)
	t.Cleanup(h.Close)
	c := &mdm.Client{Device: mdm.Device{ID: req.Certificate.Subject.CommonName}}
	d, err := c.Discover(t.Context(), h.URL+mdmtest.DiscoveryPath, "ada@contoso.test")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Enroll(t.Context(), d, nil, &mdm.Request{Credential: token, Key: mdmKey()}); err != nil {
		t.Fatalf("%v; server: %q", err, server.Refusals())
	}
	req.RefreshToken = "unknown"
	var e *mdm.Error
	if _, err := tokens.Exchange(t.Context(), req); !errors.As(err, &e) || e.OAuth != "invalid_grant" {
		t.Errorf("an unknown refresh token: %v", err)
	}
}

// A user's refresh token is traded in a request that the device signs.
func TestExchangeUser(t *testing.T) {
	_, _, req := directory(t)
	req.RefreshToken = "of-the-user"
	r := &recorder{next: newScript([]string{`200 {"Nonce":"abc"}`, `200 {"token_type":"Bearer","access_token":"a.b.c"}`})}
	token, err := (&mdm.TokenClient{Endpoint: "https://login.test/token", HTTPClient: &http.Client{Transport: r}}).Exchange(t.Context(), req)
	if err != nil || string(token) != "a.b.c" {
		t.Fatalf("%q, %v", string(token), err)
	}
	form, err := url.ParseQuery(r.bodies[1])
	if err != nil {
		t.Fatal(err)
	}
	claims := jwt.MapClaims{}
	if _, err := jwt.ParseWithClaims(form.Get("request"), claims, func(*jwt.Token) (any, error) { return req.Certificate.PublicKey, nil }); err != nil {
		t.Fatal(err)
	}
	want := jwt.MapClaims{
		"grant_type": "refresh_token", "scope": "openid aza", "refresh_token": "of-the-user", "request_nonce": "abc", "iss": "aad:brokerplugin",
		"resource": mdm.DefaultResource, "client_id": "29d9ed98-a469-4536-ade2-f981bc1d605e", "redirect_uri": "ms-aadj-redir://auth/mdm", "win_ver": mdm.DefaultOSVersion,
	}
	if !maps.Equal(claims, want) {
		t.Errorf("claims: %v", claims)
	}
}

// What the directory refuses comes back as OAuth has it.
func TestExchangeRefused(t *testing.T) {
	_, tokens, req := directory(t)
	stranger := *req
	_, _, unknown := directory(t)
	stranger.Certificate = unknown.Certificate
	resource := *req
	resource.Resource = "https://another.test/"
	for _, c := range []struct {
		name        string
		endpoint    string
		req         *mdm.TokenRequest
		op, oauth   string
		words, cure string
		code        uint32
	}{
		{"device of another directory", tokens.Endpoint, &stranger, "Exchange", "invalid_grant", "AADSTS50155", "join anew", 0x80190190},
		{"unknown resource", tokens.Endpoint, &resource, "Exchange", "invalid_resource", "AADSTS500011", "management service", 0x80190190},
		{"another tenant", strings.Replace(tokens.Endpoint, drstest.DefaultTenantID, "fabrikam.test", 1), req, "Nonce", "invalid_request", "AADSTS90002", "name", 0x80190190},
	} {
		t.Run(c.name, func(t *testing.T) {
			token, err := (&mdm.TokenClient{Endpoint: c.endpoint}).Exchange(t.Context(), c.req)
			e := failure(t, err)
			if token != "" || e.Op != c.op || e.OAuth != c.oauth || !strings.HasPrefix(e.Message, c.words) || e.TraceID == "" ||
				!strings.Contains(e.Remedy(), c.cure) || e.HRESULT() != c.code || e.Retryable() || e.HTTPStatus != 400 {
				t.Errorf("%v; remedy %q", e, e.Remedy())
			}
		})
	}
}

func TestExchangeArguments(t *testing.T) {
	_, tokens, req := directory(t)
	for name, r := range map[string]*mdm.TokenRequest{
		"nothing":        nil,
		"no certificate": {DeviceKey: req.DeviceKey},
		"no key":         {Certificate: req.Certificate},
		"another key":    {Certificate: req.Certificate, DeviceKey: mdmKey()},
	} {
		if _, err := tokens.Exchange(t.Context(), r); failure(t, err).HTTPStatus != 0 {
			t.Errorf("%s: %v", name, err)
		}
	}
	_, err := (&mdm.TokenClient{Endpoint: "http://login.test/token"}).Exchange(t.Context(), req)
	if e := failure(t, err); e.HRESULT() != 0x8018001A {
		t.Errorf("clear text: %v", e)
	}
}

// A key that cannot sign, as that of a TPM that is gone.
type deadKey struct{ crypto.Signer }

func (deadKey) Sign(io.Reader, []byte, crypto.SignerOpts) ([]byte, error) { return nil, errDead }

var errDead = errors.New("no such key")

func TestExchangeDeadKey(t *testing.T) {
	_, tokens, req := directory(t)
	req.DeviceKey = deadKey{req.DeviceKey}
	if _, err := tokens.Exchange(t.Context(), req); !errors.Is(err, errDead) {
		t.Error(err)
	}
}

// Answers of token endpoints, in the order they are given.
func TestTokenAnswers(t *testing.T) {
	const nonce = `{"Nonce":"abc"}`
	for _, c := range []struct {
		name    string
		answers []string // a status, a space, a body
		op      string
		retry   bool
		code    uint32
		want    string
	}{
		{"good", []string{"200 " + nonce, `200 {"token_type":"bearer","access_token":"a.b.c"}`}, "", false, 0, ""},
		{"no nonce", []string{"200 {}"}, "Nonce", false, 0x80072F78, "no nonce"},
		{"no JSON", []string{"200 <html>"}, "Nonce", false, 0x80072F78, "the answer is a web page (HTML), not JSON"},
		{"empty", []string{"200 "}, "Nonce", false, 0x80072F78, "reading the answer"},
		{"unavailable", []string{"503 <html>"}, "Nonce", true, 0x801901F7, "status 503"},
		{"many", []string{"429 {}"}, "Nonce", true, 0x801901AD, "status 429"},
		{"redirect", []string{"302 "}, "Nonce", false, 0x8019012E, "status 302"},
		{"error with 200", []string{"200 " + nonce, `200 {"error":"invalid_grant","error_description":"no"}`}, "Exchange", false, 0x801900C8, "invalid_grant"},
		{"for now", []string{"200 " + nonce, `400 {"error":"temporarily_unavailable"}`}, "Exchange", true, 0x80190190, "temporarily"},
		{"another type", []string{"200 " + nonce, `200 {"token_type":"pop","access_token":"a.b.c"}`}, "Exchange", false, 0x80072F78, "no bearer"},
		{"no token", []string{"200 " + nonce, `200 {"token_type":"Bearer"}`}, "Exchange", false, 0x80072F78, "empty"},
		{"token with a line break", []string{"200 " + nonce, `200 {"token_type":"Bearer","access_token":"a\r\nb"}`}, "Exchange", false, 0x80072F78, "characters"},
		{"too large", []string{"200 " + strings.Repeat(" ", 1<<17)}, "Nonce", false, 0, "too large"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, _, req := directory(t)
			token, err := (&mdm.TokenClient{Endpoint: "https://login.test/token?x=secret", HTTPClient: &http.Client{Transport: newScript(c.answers)}}).Exchange(t.Context(), req)
			if c.op == "" {
				if err != nil || string(token) != "a.b.c" {
					t.Errorf("%q, %v", string(token), err)
				}
				return
			}
			e := failure(t, err)
			if token != "" || e.Op != c.op || e.Retryable() != c.retry || e.HRESULT() != c.code || !strings.Contains(e.Error(), c.want) || strings.Contains(e.Error(), "secret") {
				t.Errorf("%v, retryable %t", e, e.Retryable())
			}
		})
	}
}

func TestTokenRetryAfter(t *testing.T) {
	_, _, req := directory(t)
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	header := http.Header{"Retry-After": {"Fri, 02 Jan 2026 03:05:05 GMT"}}
	c := &mdm.TokenClient{
		Endpoint: "https://login.test/token", Now: func() time.Time { return at },
		HTTPClient: &http.Client{Transport: canned{Status: 503, Header: header}},
	}
	if _, err := c.Exchange(t.Context(), req); failure(t, err).RetryAfter != time.Minute {
		t.Error(err)
	}
}
