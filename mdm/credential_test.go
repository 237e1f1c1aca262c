package mdm_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/whiteglove/whiteglove/mdm"
	"github.com/whiteglove/whiteglove/mdm/mdmtest"
)

// userToken returns a token with the usual claims of the directory, and more.
func userToken(t testing.TB, more jwt.MapClaims) mdm.Token {
	t.Helper()
	now := time.Now()
	claims := jwt.MapClaims{
		"aud": mdmtest.DefaultResource, "iss": "https://sts.windows.net/" + mdmtest.DefaultTenantID + "/", "tid": mdmtest.DefaultTenantID,
		"nbf": now.Unix(), "exp": now.Add(time.Hour).Unix(),
	}
	maps.Copy(claims, more)
	text, err := jwt.NewWithClaims(jwt.SigningMethodRS256, claims).SignedString(tokenKey())
	if err != nil {
		t.Fatal(err)
	}
	return mdm.Token(text)
}

// Each kind of credential enrolls where it is good, and is refused elsewhere.
func TestCredentials(t *testing.T) {
	open := func() *mdmtest.Server {
		return &mdmtest.Server{
			Users:        func(upn string) bool { return upn == "user@contoso.test" },
			Passwords:    func(user, password string) bool { return user == `CONTOSO\u<1>` && password == "a&b" },
			OpaqueTokens: func(token string) (string, bool) { return "user", token == "<opaque>" },
		}
	}
	device := extra()
	user := []mdm.Item{mdm.BoolItem(mdm.ItemUXInitiated, true)}
	good := jwt.MapClaims{"upn": "user@contoso.test", "scp": "mdm_delegation x"}
	for _, c := range []struct {
		name   string
		server *mdmtest.Server
		with   mdm.Credential
		items  []mdm.Item
		code   uint32
	}{
		{"device", open(), newToken(t), device, 0},
		{"device as a user", open(), newToken(t), append(user, mdm.BoolItem(mdm.ItemWhiteGlove, false)), 0x80180001},
		{"virtual machine", open(), newToken(t), []mdm.Item{mdm.BoolItem(mdm.ItemAzureVM, true)}, 0},
		{"self-deploying", open(), newToken(t), mdm.SelfDeploying(testZTD), 0},
		{"user", open(), userToken(t, good), user, 0},
		{"user in pre-provisioning", open(), userToken(t, good), device, 0x80180001},
		{"user where there are none", new(mdmtest.Server), userToken(t, good), user, 0x80180003},
		{"user without the permission", open(), userToken(t, jwt.MapClaims{"upn": "user@contoso.test", "scp": "x"}), user, 0x80180003},
		{"user without a name", open(), userToken(t, jwt.MapClaims{"scp": "mdm_delegation"}), user, 0x80180002},
		{"user who may not", open(), userToken(t, jwt.MapClaims{"upn": "other@contoso.test", "scp": "mdm_delegation"}), user, 0x80180003},
		{"password", open(), mdm.Password{User: `CONTOSO\u<1>`, Secret: "a&b"}, user, 0},
		{"wrong password", open(), mdm.Password{User: `CONTOSO\u<1>`, Secret: "a"}, user, 0x80180002},
		{"password where there are none", new(mdmtest.Server), mdm.Password{User: `CONTOSO\u<1>`, Secret: "a&b"}, user, 0x80180007},
		{"opaque token", open(), mdm.OpaqueToken("<opaque>"), user, 0},
		{"wrong opaque token", open(), mdm.OpaqueToken("x"), user, 0x80180002},
		{"opaque token where there are none", new(mdmtest.Server), mdm.OpaqueToken("<opaque>"), user, 0x80180007},
	} {
		t.Run(c.name, func(t *testing.T) {
			discovery, h := startTLS(t, c.server)
			client := &mdm.Client{Device: mdm.Device{ID: testDevice, EnrollmentType: "Device"}, HTTPClient: h}
			d, err := client.Discover(t.Context(), discovery, `CONTOSO\user`)
			if err != nil {
				t.Fatal(err)
			}
			p, err := client.Policy(t.Context(), d, c.with)
			if err == nil {
				_, err = client.Enroll(t.Context(), d, p, &mdm.Request{Credential: c.with, Key: mdmKey(), Context: c.items})
			}
			switch {
			case c.code == 0 && err != nil:
				t.Errorf("%v; server: %q", err, c.server.Refusals())
			case c.code != 0 && failure(t, err).HRESULT() != c.code:
				t.Error(err)
			}
		})
	}
}

// A UsernameToken is written as servers compare it.
func TestLiteralPassword(t *testing.T) {
	var r recorder
	_, discovery := start(t)
	c := &mdm.Client{HTTPClient: &http.Client{Transport: &r}, Device: mdm.Device{TPMManufacturer: "IBM", TPMFirmware: "8217.4131.22.13878"}}
	d := &mdm.Discovery{PolicyURL: strings.Replace(discovery, "Discovery", "Policy", 1)}
	_, err := c.Policy(t.Context(), d, mdm.Password{User: "user@contoso.test", Secret: "a&b"})
	if failure(t, err).HRESULT() != 0x80180007 {
		t.Error(err)
	}
	const want = `<wsse:Security s:mustUnderstand="1"><wsse:UsernameToken u:Id="uuid-cc1ccc1f-2fba-4bcf-b063-ffc0cac77917-4">` +
		`<wsse:Username>user@contoso.test</wsse:Username><wsse:Password wsse:Type="http://docs.oasis-open.org/wss/2004/01/` +
		`oasis-200401-wss-username-token-profile-1.0#PasswordText">a&amp;b</wsse:Password></wsse:UsernameToken></wsse:Security>`
	const tpm = xsi + `<TPMManufacturer>IBM</TPMManufacturer><TPMFirmwareVersion>8217.4131.22.13878</TPMFirmwareVersion></client>`
	if !strings.Contains(r.bodies[0], want) || !strings.Contains(r.bodies[0], tpm) {
		t.Error(r.bodies[0])
	}
}

func TestCredentialsRefused(t *testing.T) {
	d := &mdm.Discovery{PolicyURL: "https://mdm.test/p", EnrollURL: "https://mdm.test/e"}
	for _, c := range []mdm.Credential{nil, mdm.Token(""), mdm.OpaqueToken(""), mdm.Password{}, mdm.Password{User: "a\x00"}, mdm.Password{User: "a", Secret: "\x01"}} {
		if _, err := new(mdm.Client).Policy(t.Context(), d, c); failure(t, err).URL != "" {
			t.Errorf("%T: %v", c, err)
		}
	}
	shown := fmt.Sprintf("%v %+v %s %#v %x", mdm.OpaqueToken("secret"), mdm.Password{"u", "secret"}, mdm.OpaqueToken("secret"), mdm.Password{"u", "secret"}, mdm.OpaqueToken("secret"))
	if shown += mdm.OpaqueToken("secret").String() + mdm.OpaqueToken("secret").LogValue().String(); strings.Contains(shown, "secret") || strings.Contains(shown, "736563") {
		t.Error(shown)
	}
	if text, err := json.Marshal(mdm.OpaqueToken("secret")); err == nil {
		t.Errorf("marshaled: %s", text)
	}
}

// Warnings tell in words what servers refuse in a token.
func TestClaims(t *testing.T) {
	at := time.Unix(1_800_000_000, 0)
	base := func(more ...any) map[string]any {
		m := map[string]any{"aud": "a", "tid": "t", "deviceid": "d", "upn": "u@contoso.test", "scp": "x mdm_delegation", "exp": at.Unix() + 60, "nbf": at.Unix() - 60}
		for i := 0; i < len(more); i += 2 {
			if m[more[i].(string)] = more[i+1]; more[i+1] == nil {
				delete(m, more[i].(string))
			}
		}
		return m
	}
	for _, c := range []struct {
		name   string
		claims map[string]any
		want   []string
	}{
		{"good", base(), nil},
		{"times as text", base("exp", "1800000060", "nbf", "1799999940"), nil},
		{"ended", base("exp", at.Unix()), []string{"expired on 2027-01-15 08:00 UTC"}},
		{"begins", base("nbf", at.Unix()+3600), []string{"not valid before"}},
		{"device", base("idtyp", "device", "upn", nil, "scp", nil), []string{"no upn, like other tokens of devices"}},
		{"device with a name", base("idtyp", "device", "scp", nil), nil},
		{"user without name", base("upn", nil, "idtyp", "user"), []string{"whose device"}},
		{"user by another name", base("upn", nil, "unique_name", "u@contoso.test"), nil},
		{"no device", base("deviceid", nil), []string{"no deviceid"}},
		{"other permission", base("scp", "user_impersonation"), []string{"mdm_delegation"}},
		{"permission as list", base("scp", []string{"a", "mdm_delegation"}), nil},
		{"nothing", map[string]any{}, []string{"no aud", "no tid", "no deviceid", "whose device", "mdm_delegation"}},
		{"strange types", map[string]any{"aud": 1, "upn": []int{1}, "exp": 1e99}, []string{"no aud", "no tid", "no deviceid", "whose device", "mdm_delegation"}},
	} {
		text, err := json.Marshal(c.claims)
		if err != nil {
			t.Fatal(err)
		}
		got, err := mdm.Token("e30." + base64.RawURLEncoding.EncodeToString(text) + ".c2ln").Claims()
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		warnings := got.Warnings(at)
		ok := len(warnings) == len(c.want)
		for i := range c.want {
			ok = ok && strings.Contains(warnings[i], c.want[i])
		}
		if !ok {
			t.Errorf("%s: %q", c.name, warnings)
		}
	}
	for _, text := range []string{"", "a.b", "a.b.c", "a.!.c", "a.W10.c", "a.e30", "a." + strings.Repeat("e", 70000) + ".c"} {
		if c, err := mdm.Token(text).Claims(); err == nil {
			t.Errorf("%.20q: %+v", text, c)
		}
	}
}

// A warning is logged when the token is sent, and comes with the error.
func TestWarnings(t *testing.T) {
	var logged bytes.Buffer
	discovery, h := startTLS(t, &mdmtest.Server{Quirks: mdmtest.Quirks{NeedUPN: true}})
	c := &mdm.Client{HTTPClient: h, Logger: slog.New(slog.NewTextHandler(&logged, nil))}
	_, err := enroll(t, c, discovery)
	e := failure(t, err)
	if !strings.Contains(e.Remedy(), "no upn") || !strings.Contains(logged.String(), "no upn") || e.Message != "invalid UPN claim" {
		t.Errorf("%v; remedy %q; log %s", e, e.Remedy(), &logged)
	}
	if token := string(newToken(t)); strings.Contains(logged.String(), token[:40]) {
		t.Error("the token is in the log")
	}
}

func FuzzClaims(f *testing.F) {
	f.Add("e30.e30.c2ln")
	f.Add("e30.eyJ1cG4iOlsiYSJdLCJleHAiOiIxIn0.c2ln")
	f.Add("a.b.c")
	f.Fuzz(func(t *testing.T, text string) {
		c, err := mdm.Token(text).Claims()
		if (c == nil) == (err == nil) {
			t.Fatalf("%+v, %v", c, err)
		}
		if c != nil && strings.Contains(strings.Join(c.Warnings(time.Now()), " "), text) && len(text) > 20 {
			t.Error("a warning has the token")
		}
	})
}
