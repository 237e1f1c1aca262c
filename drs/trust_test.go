package drs_test

import (
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/whiteglove/whiteglove/drs"
)

// An endpoint of a Discovery is checked before a request is sent to it, whoever filled the
// Discovery in.
func TestEndpointsChecked(t *testing.T) {
	for _, c := range []struct{ name, base, endpoint string }{
		{"no host", "", "https:///nonce"},
		{"no scheme", "", "//a.example/nonce"},
		{"a user", "", "https://a@a.example/"},
		{"http at the loopback interface, base by https", "https://127.0.0.1:1", "http://127.0.0.1:1/nonce"},
		{"http at another port than the base", "http://127.0.0.1:1", "http://127.0.0.1:2/nonce"},
		{"http at the base's host", "http://a.example", "http://a.example/nonce"},
		{"2 KiB", "", "https://a.example/" + strings.Repeat("x", 2048)},
	} {
		sent := false
		client := &drs.Client{BaseURL: c.base, HTTPClient: &http.Client{Transport: transport(func(*http.Request) { sent = true })}}
		_, err := client.Nonce(t.Context(), &drs.Discovery{NonceEndpoint: c.endpoint}, nil)
		if !errors.Is(err, drs.ErrEndpoint) || sent {
			t.Errorf("%s: %v, sent %t", c.name, err, sent)
		}
	}
	for _, part := range []string{"\u009bJ", "\xff", "\uFFFD", "a b", "\u202e"} {
		sent := false
		client := &drs.Client{HTTPClient: &http.Client{Transport: transport(func(*http.Request) { sent = true })}}
		_, err := client.Capabilities(t.Context(), &drs.Discovery{TokenEndpoint: "https://a.example/" + part + "/x/oauth2/token"})
		if !errors.Is(err, drs.ErrEndpoint) || sent {
			t.Errorf("%q: %v, sent %t", part, err, sent)
		}
	}
}

// A transport fails every request after a call of the function.
type transport func(*http.Request)

func (f transport) RoundTrip(req *http.Request) (*http.Response, error) {
	f(req)
	return nil, errors.New("no network")
}

// Every endpoint of a discovery must be https, also those that this package does not use.
func TestDiscoverChecksEach(t *testing.T) {
	for _, body := range []string{
		`{"DeviceJoinService":{"JoinEndpoint":%q}}`,
		`{"NonceService":{"Endpoint":%q}}`,
		`{"TpmChallengeService":{"Endpoint":%q}}`,
		`{"AuthenticationService":{"OAuth2":{"TokenEndpoint":%q}}}`,
		`{"AuthenticationService":{"OAuth2":{"AuthCodeEndpoint":%q}}}`,
		`{"IdentityProviderService":{"PassiveAuthEndpoint":%q}}`,
		`{"KeyProvisioningService":{"KeyProvisionEndpoint":%q}}`,
		`{"DeviceManagementService":{"DeviceManagementEndpoint":%q}}`,
		`{"PrecreateService":{"PrecreateEndpoint":%q}}`,
	} {
		if _, err := answering(t, 200, fmt.Sprintf(body, "https://a.example/")).Discover(t.Context(), tenantID); err != nil {
			t.Errorf("%s: %v", body, err)
		}
		if _, err := answering(t, 200, fmt.Sprintf(body, "http://a.example/")).Discover(t.Context(), tenantID); !errors.Is(err, drs.ErrEndpoint) {
			t.Errorf("%s: %v", body, err)
		}
	}
}

// What a service sends has a largest size, which is accepted, and one more byte is not.
func TestSizes(t *testing.T) {
	const maxNonce, maxText = 8192, 2048
	for n, ok := range map[int]bool{0: false, 1: true, maxNonce: true, maxNonce + 1: false} {
		c := answering(t, 200, `{"Value":"`+strings.Repeat("n", n)+`"}`)
		if _, err := c.Nonce(t.Context(), &drs.Discovery{TenantID: tenantID}, nil); (err == nil) != ok || !ok && !errors.Is(err, drs.ErrMalformed) {
			t.Errorf("nonce of %d bytes: %v", n, err)
		}
	}
	c := answering(t, 200, `{"capabilities":[`+strings.TrimSuffix(strings.Repeat(`"x",`, 100), ",")+`]}`)
	d := &drs.Discovery{TokenEndpoint: c.BaseURL + "/x/oauth2/token"}
	if got, err := c.Capabilities(t.Context(), d); err != nil || len(got) != 64 {
		t.Errorf("%d capabilities, %v", len(got), err)
	}
	for upn, ok := range map[string]bool{"a@b": true, "ab": false, strings.Repeat("a", maxText-2) + "@b": true, strings.Repeat("a", maxText-1) + "@b": false} {
		if _, err := c.Realm(t.Context(), d, upn); (err == nil) != ok && !errors.Is(err, drs.ErrEndpoint) {
			t.Errorf("user of %d bytes: %v", len(upn), err)
		}
	}
	for _, endpoint := range []string{"https://oauth2/token", "https://x/oauth2/token", "https://a.example/oauth2/token", "https://a.example/x/oauth2/authorize"} {
		sent := ""
		c := &drs.Client{HTTPClient: &http.Client{Transport: transport(func(r *http.Request) { sent = r.URL.Host })}}
		if _, err := c.Realm(t.Context(), &drs.Discovery{TokenEndpoint: endpoint}, "a@b"); !errors.Is(err, drs.ErrEndpoint) || sent != "" {
			t.Errorf("%s: %v, sent to %q", endpoint, err, sent)
		}
	}
}

// Answers to a sign-in whose parts are too large or missing are refused.
func TestSignInRefusesAnswers(t *testing.T) {
	const maxToken = 32 << 10
	session := keyJWE(t, &key(t).PublicKey, unhex(t, sessionKey), keyHeader)
	good := map[string]any{"token_type": "pop", "refresh_token": "r", "refresh_token_expires_in": "60", "session_key_jwe": session}
	for name, c := range map[string]struct {
		field string
		value any
		ok    bool
	}{
		"good":                       {"token_type", "PoP", true},
		"largest refresh token":      {"refresh_token", strings.Repeat("r", maxToken), true},
		"too large refresh token":    {"refresh_token", strings.Repeat("r", maxToken+1), false},
		"no refresh token":           {"refresh_token", "", false},
		"bearer":                     {"token_type", "Bearer", false},
		"no session key":             {"session_key_jwe", "", false},
		"too large session key":      {"session_key_jwe", session + strings.Repeat("A", maxToken), false},
		"session key of another key": {"session_key_jwe", keyJWE(t, &otherKey(t).PublicKey, unhex(t, sessionKey), keyHeader), false},
		"session key of 16 bytes":    {"session_key_jwe", keyJWE(t, &key(t).PublicKey, unhex(t, sessionKey)[:16], keyHeader), false},
		"negative lifetime":          {"refresh_token_expires_in", "-1", false},
		"lifetime without end":       {"refresh_token_expires_in", "2147483648", false},
	} {
		ts := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.FormValue("grant_type") == "srv_challenge" {
				json.NewEncoder(w).Encode(map[string]string{"Nonce": "n"})
				return
			}
			answer := map[string]any{}
			for k, v := range good {
				answer[k] = v
			}
			answer[c.field] = c.value
			json.NewEncoder(w).Encode(answer)
		}))
		client := &drs.Client{BaseURL: ts.URL, Now: func() time.Time { return clock }}
		cert := sign(t, entraCertificate(), &key(t).PublicKey)
		s, err := client.SignIn(t.Context(), &drs.Discovery{TokenEndpoint: ts.URL + "/x/oauth2/token", TenantID: tenantID}, &drs.SignIn{
			Certificate: cert, DeviceKey: key(t), TransportKey: key(t), Username: "a@contoso.test", Password: "p",
		})
		if (err == nil) != c.ok || (s == nil) == c.ok {
			t.Errorf("%s: %v", name, err)
		}
		ts.Close()
	}
}

func otherKey(t *testing.T) *rsa.PrivateKey {
	t.Helper()
	k, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// Encrypted replies without content are refused, and those that are too large.
func TestReplyWithoutContent(t *testing.T) {
	session := unhex(t, sessionKey)
	context := base64.StdEncoding.EncodeToString(make([]byte, 24))
	header := `{"alg":"dir","enc":"A256GCM","ctx":"` + context + `"}`
	var v map[string]string
	for _, text := range []string{
		compact(header, nil, make([]byte, 16), nil, nil),
		compact(header, nil, nil, nil, nil),
		compact(header, nil, make([]byte, 12), nil, nil),
		strings.Repeat("A", 257<<10) + "." + strings.Join(slices.Repeat([]string{"AA"}, 4), "."),
	} {
		if err := drs.OpenReply([]byte(text), session, false, &v); !errors.Is(err, drs.ErrMalformed) {
			t.Errorf("%.80s: %v", text, err)
		}
	}
}

// A rejoin that names no device or no user is not sent.
func TestRejoinIncomplete(t *testing.T) {
	for _, c := range []struct{ id, token string }{{"", "t"}, {"x", "t"}, {deviceID, ""}} {
		sent := false
		client := &drs.Client{HTTPClient: &http.Client{Transport: transport(func(*http.Request) { sent = true })}}
		req := request(t)
		req.UserToken = drs.Token(c.token)
		if _, err := client.Rejoin(t.Context(), discovery("https://a.example"), c.id, req); err == nil || sent {
			t.Errorf("%q: %v, sent %t", c.id, err, sent)
		}
	}
}
