package drstest_test

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/whiteglove/whiteglove/drs"
	"github.com/whiteglove/whiteglove/drs/drstest"
)

// unsigned returns an identity token as the service issues it.
func unsigned(t *testing.T, claims map[string]any) string {
	t.Helper()
	raw, err := json.Marshal(claims)
	if err != nil {
		t.Fatal(err)
	}
	e := base64.RawURLEncoding.EncodeToString
	return e([]byte(`{"alg":"none"}`)) + "." + e(raw) + "."
}

const otherTenant = "11111111-2222-4333-8444-555555555555"

// SignIn refuses identity tokens of others, and those that are not valid now.
func TestIdentityToken(t *testing.T) {
	r := newRig(t)
	in := softSignIn(t, r)
	in.Password = password
	good := map[string]any{
		"aud": "38aa3b87-a06d-4817-b275-7a316988d93b", "iss": r.server.Issuer(), "tid": drstest.DefaultTenantID, "upn": alice,
		"exp": r.now.Add(time.Hour).Unix(),
	}
	for name, c := range map[string]struct {
		change map[string]any // nil values remove a claim
		err    error
		text   string
	}{
		"good":                    {nil, nil, ""},
		"name of another case":    {map[string]any{"upn": strings.ToUpper(alice)}, nil, ""},
		"unique_name":             {map[string]any{"upn": nil, "unique_name": alice}, nil, ""},
		"no name":                 {map[string]any{"upn": nil}, nil, ""},
		"of the endpoint":         {map[string]any{"iss": r.url + "/" + drstest.DefaultTenantID + "/v2.0"}, nil, ""},
		"several clients":         {map[string]any{"aud": []string{"x", "38aa3b87-a06d-4817-b275-7a316988d93b"}}, nil, ""},
		"expired a minute ago":    {map[string]any{"exp": r.now.Add(-time.Minute).Unix()}, nil, ""},
		"valid in a minute":       {map[string]any{"nbf": r.now.Add(time.Minute).Unix()}, nil, ""},
		"another user":            {map[string]any{"upn": "mallory@contoso.test"}, drs.ErrMalformed, "mallory"},
		"another unique_name":     {map[string]any{"upn": nil, "unique_name": "mallory@contoso.test"}, drs.ErrMalformed, "mallory"},
		"another tenant":          {map[string]any{"tid": otherTenant}, drs.ErrTenant, otherTenant},
		"no tenant":               {map[string]any{"tid": nil}, drs.ErrMalformed, "no tenant"},
		"another client":          {map[string]any{"aud": "x"}, drs.ErrMalformed, "clients"},
		"no client":               {map[string]any{"aud": nil}, drs.ErrMalformed, "clients"},
		"expired":                 {map[string]any{"exp": r.now.Add(-5 * time.Minute).Unix()}, drs.ErrMalformed, "expired"},
		"no expiry":               {map[string]any{"exp": nil}, drs.ErrMalformed, "has no expiry"},
		"not yet valid":           {map[string]any{"nbf": r.now.Add(6 * time.Minute).Unix()}, drs.ErrMalformed, "valid from"},
		"no issuer":               {map[string]any{"iss": nil}, drs.ErrMalformed, "issuer"},
		"issuer of other tenant":  {map[string]any{"iss": "https://sts.windows.net/" + otherTenant + "/"}, drs.ErrMalformed, "issuer"},
		"issuer at another host":  {map[string]any{"iss": "https://sts.example/" + drstest.DefaultTenantID + "/"}, drs.ErrMalformed, "issuer"},
		"issuer without TLS":      {map[string]any{"iss": "ftp://sts.windows.net/" + drstest.DefaultTenantID + "/"}, drs.ErrMalformed, "issuer"},
		"issuer by http":          {map[string]any{"iss": "http://sts.windows.net/" + drstest.DefaultTenantID + "/"}, drs.ErrMalformed, "issuer"},
		"issuer of another depth": {map[string]any{"iss": "https://sts.windows.net/x/" + drstest.DefaultTenantID}, drs.ErrMalformed, "issuer"},
	} {
		claims := maps.Clone(good)
		maps.Copy(claims, c.change)
		maps.DeleteFunc(claims, func(_ string, v any) bool { return v == nil })
		own := *r.client
		own.HTTPClient = &http.Client{Transport: rewriter{`"id_token"`, `"id_token":"` + unsigned(t, claims) + `","x"`}}
		s, err := own.SignIn(t.Context(), r.tenant, in)
		if !errors.Is(err, c.err) || (err == nil) != (s != nil) || err != nil && !strings.Contains(err.Error(), c.text) {
			t.Errorf("%s: %v", name, err)
		}
		if s != nil && (!strings.EqualFold(s.UPN, alice) || s.TenantID != drstest.DefaultTenantID) {
			t.Errorf("%s: %s of %s", name, s.UPN, s.TenantID)
		}
	}
	// A discovery without a tenant: a token without one is from the endpoint itself, as
	// that of AD FS is. One with a tenant must be from an issuer of that.
	unknown := *r.tenant
	unknown.TenantID, unknown.TenantName = "", ""
	for name, c := range map[string]struct {
		tid, iss string
		ok       bool
	}{
		"none, endpoint":       {"", r.url + "/adfs", true},
		"none, another host":   {"", "https://sts.windows.net/", false},
		"another, its issuer":  {otherTenant, "https://sts.windows.net/" + otherTenant + "/", true},
		"another, this issuer": {otherTenant, r.server.Issuer(), false},
		"no GUID":              {"x", r.url + "/x", false},
	} {
		claims := maps.Clone(good)
		claims["tid"], claims["iss"] = c.tid, c.iss
		own := *r.client
		own.HTTPClient = &http.Client{Transport: rewriter{`"id_token"`, `"id_token":"` + unsigned(t, claims) + `","x"`}}
		if s, err := own.SignIn(t.Context(), &unknown, in); (err == nil) != c.ok || c.ok && s.TenantID != c.tid {
			t.Errorf("discovery without tenant: %s: %v", name, err)
		}
	}
}

// A reply that is not encrypted with the session key is refused, unless the caller allows it.
func TestPlainReplyRefused(t *testing.T) {
	r := newRig(t)
	in := softSignIn(t, r)
	in.Password = password
	s, err := r.client.SignIn(t.Context(), r.tenant, in)
	if err != nil {
		t.Fatal(err)
	}
	r.server.Reply = drstest.ReplyPlain
	for _, plain := range []bool{false, true} {
		r.client.PlainReplies = plain
		_, renewErr := r.client.Renew(t.Context(), r.tenant, s)
		_, accessErr := r.client.AccessToken(t.Context(), r.tenant, s, &drs.AccessRequest{Resource: drstest.ManagementResource})
		for _, err := range []error{renewErr, accessErr} {
			if plain != (err == nil) || !plain && (!errors.Is(err, drs.ErrMalformed) || !strings.Contains(err.Error(), "not encrypted")) {
				t.Errorf("allowed %t: %v", plain, err)
			}
		}
	}
}

// Tenants are compared wherever two are known.
func TestTenantsCompared(t *testing.T) {
	r := newTLSRig(t)
	r.server.AddUser(drstest.User{UPN: alice, Password: password})
	token := r.authenticate()
	req := r.device.request(token)
	dev, err := r.join(req)
	if err != nil {
		t.Fatal(err)
	}
	in := &drs.SignIn{Certificate: dev.Certificate, DeviceKey: req.DeviceKey, TransportKey: r.device.tk, Username: alice, Password: password}
	s, err := r.client.SignIn(t.Context(), r.tenant, in)
	if err != nil {
		t.Fatal(err)
	}
	other := *r.tenant
	other.TenantID = otherTenant
	bearer := &drs.Request{DeviceKey: req.DeviceKey, TransportKey: req.TransportKey, UserToken: drs.Token(unsigned(t, map[string]any{"tid": drstest.DefaultTenantID}))}
	count := 0
	c := *r.client
	c.HTTPClient = &http.Client{Transport: counter{r, &count}}
	for name, call := range map[string]func() error{
		"join with a ticket": func() error { _, err := c.Join(t.Context(), &other, req); return err },
		"join with a token":  func() error { _, err := c.Join(t.Context(), &other, bearer); return err },
		"rejoin":             func() error { _, err := c.Rejoin(t.Context(), &other, dev.ID, bearer); return err },
		"leave":              func() error { return c.Leave(t.Context(), &other, dev, req.DeviceKey) },
		"sign-in":            func() error { _, err := c.SignIn(t.Context(), &other, in); return err },
		"renew":              func() error { _, err := c.Renew(t.Context(), &other, s); return err },
		"access token": func() error {
			_, err := c.AccessToken(t.Context(), &other, s, &drs.AccessRequest{Resource: drstest.ManagementResource})
			return err
		},
		"cookie": func() error { _, err := c.Cookie(t.Context(), &other, s, nil); return err },
	} {
		var e *drs.Error
		if err := call(); !errors.Is(err, drs.ErrTenant) || !errors.As(err, &e) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if count != 0 {
		t.Errorf("%d requests were sent", count)
	}
	// Answers for another tenant.
	device := func(claims jwt.MapClaims) string { return `"access_token":"` + unsigned(t, claims) + `","x"` }
	for name, q := range map[string]struct {
		from, to string
		call     func(*drs.Client) error
	}{
		"challenge": {`"TokenEndpoint":"` + r.url + "/" + drstest.DefaultTenantID, `"TokenEndpoint":"` + r.url + "/" + otherTenant, func(c *drs.Client) error {
			_, err := c.Authenticate(t.Context(), r.tenant, r.device.proof())
			return err
		}},
		"device token": {`"access_token"`, device(jwt.MapClaims{"tid": otherTenant}), func(c *drs.Client) error {
			_, err := c.Authenticate(t.Context(), r.tenant, r.device.proof())
			return err
		}},
		"session": {`"device_tenant_id":"` + drstest.DefaultTenantID, `"device_tenant_id":"` + otherTenant, func(c *drs.Client) error {
			_, err := c.SignIn(t.Context(), r.tenant, in)
			return err
		}},
		"renewed session": {`"device_tenant_id":"` + drstest.DefaultTenantID, `"device_tenant_id":"` + otherTenant, func(c *drs.Client) error {
			_, err := c.Renew(t.Context(), r.tenant, s)
			return err
		}},
		"renewed identity": {`"id_token"`, `"id_token":"` + unsigned(t, map[string]any{"tid": otherTenant}) + `","x"`, func(c *drs.Client) error {
			_, err := c.Renew(t.Context(), r.tenant, s)
			return err
		}},
		"access token": {`"access_token"`, device(jwt.MapClaims{"tid": otherTenant}), func(c *drs.Client) error {
			_, err := c.AccessToken(t.Context(), r.tenant, s, &drs.AccessRequest{Resource: drstest.ManagementResource})
			return err
		}},
		"endpoint": {r.url + "/" + drstest.DefaultTenantID + "/oauth2/token", r.url + "/" + otherTenant + "/oauth2/token", func(c *drs.Client) error {
			_, err := c.Discover(t.Context(), drstest.DefaultTenant)
			return err
		}},
	} {
		own := *r.client
		own.HTTPClient = &http.Client{Transport: rewriterOver{r, rewriter{q.from, q.to}}}
		own.PlainReplies, r.server.Reply = true, drstest.ReplyPlain
		if err := q.call(&own); !errors.Is(err, drs.ErrTenant) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A counter counts requests.
type counter struct {
	http.RoundTripper
	n *int
}

func (c counter) RoundTrip(req *http.Request) (*http.Response, error) {
	*c.n++
	return c.RoundTripper.RoundTrip(req)
}
