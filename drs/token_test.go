package drs_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/whiteglove/whiteglove/drs"
)

func TestTokenIsNotShown(t *testing.T) {
	const secret = "s3cret"
	var log bytes.Buffer
	v := drs.DeviceToken{Token: secret}
	slog.New(slog.NewTextHandler(&log, nil)).Info("x", "token", v.Token)
	shown := log.String() + fmt.Sprint(v.Token) + fmt.Sprintf("%s %q %v %+v %#v %x %d", v.Token, v.Token, v, v, v, v.Token, v.Token)
	if strings.Contains(shown, secret) || strings.Contains(shown, fmt.Sprintf("%x", secret)) || !strings.Contains(shown, "[token]") {
		t.Errorf("got %s", shown)
	}
	if b, err := json.Marshal(v); err == nil {
		t.Errorf("marshaled to %s", b)
	}
	if string(v.Token) != secret {
		t.Error("a conversion does not give the value")
	}
}

// What a device token says goes into a join: as ticket or bearer token, with its
// attributes, and with its nonce for an attestation that has none.
func TestDeviceToken(t *testing.T) {
	certify := func(_ context.Context, _ string, data []byte) (*drs.Statement, error) {
		return &drs.Statement{PublicArea: sha256Area(8), Attest: []byte{1}, Signature: []byte{1}}, nil
	}
	for _, c := range []struct {
		name          string
		token         drs.DeviceToken
		user          drs.Token
		own           []byte // nonce of the attestation
		bearer        string
		ticket, nonce string
	}{
		{"ticket", drs.DeviceToken{Token: "t", Nonce: []byte("m")}, "", nil, "t", "t", "m"},
		{"ticket of a user's join", drs.DeviceToken{Token: "t"}, "u", []byte("n"), "u", "t", "n"},
		{"with both nonces", drs.DeviceToken{Token: "t", Nonce: []byte("m")}, "u", []byte("n"), "u", "t", "n"},
		{"bearer", drs.DeviceToken{Token: "t", Bearer: true}, "", []byte("n"), "t", "", "n"},
	} {
		var bearer string
		var body struct {
			Attributes      map[string]string
			AttestationData []byte
		}
		ts := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			bearer = r.Header.Get("Authorization")
			if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
				t.Error(err)
			}
		}))
		req := request(t)
		c.token.Attributes = map[string]string{"a": "2", "b": "2"}
		attestation := &drs.Attestation{Form: drs.FormBundle, AIKPublicArea: sha256Area(8), Nonce: c.own, Certify: certify}
		req.DeviceToken, req.UserToken, req.Attributes, req.Attestation = &c.token, c.user, map[string]string{"a": "1"}, attestation
		(&drs.Client{BaseURL: ts.URL}).Join(t.Context(), discovery(ts.URL), req) // the answer is empty
		ts.Close()
		ticket, _ := base64.StdEncoding.DecodeString(body.Attributes["MSA-DDID"])
		var bundle struct{ Nonce []byte }
		json.Unmarshal(body.AttestationData, &bundle)
		if bearer != "Bearer "+c.bearer || string(ticket) != c.ticket || string(bundle.Nonce) != c.nonce ||
			body.Attributes["a"] != "1" || body.Attributes["b"] != "2" || string(attestation.Nonce) != string(c.own) || len(req.Attributes) != 1 {
			t.Errorf("%s: %q, ticket %q, nonce %q, %v", c.name, bearer, ticket, bundle.Nonce, body.Attributes)
		}
	}
}

// Tokens that do not go together are refused before anything is sent.
func TestTokensTogether(t *testing.T) {
	for name, c := range map[string]struct {
		user  drs.Token
		token *drs.DeviceToken
	}{"two bearer tokens": {"u", &drs.DeviceToken{Token: "t", Bearer: true}}, "empty": {"u", new(drs.DeviceToken)}} {
		req := request(t)
		req.UserToken, req.DeviceToken = c.user, c.token
		_, err := (&drs.Client{BaseURL: "http://127.0.0.1:1"}).Join(t.Context(), discovery("http://127.0.0.1:1"), req)
		if err == nil || !strings.Contains(err.Error(), "token") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A ticket that has expired is refused before anything is sent.
func TestExpiredTicket(t *testing.T) {
	encode := base64.RawURLEncoding.EncodeToString
	ticket := func(claims string) drs.Token {
		return drs.Token(encode([]byte(`{"alg":"RS256","typ":"JWT"}`)) + "." + encode([]byte(claims)) + ".c2ln")
	}
	past := time.Unix(1700000000, 0)
	for name, c := range map[string]struct {
		token drs.DeviceToken
		want  string // empty: none
	}{
		"a claim":   {drs.DeviceToken{Token: ticket(`{"exp":1700000000}`)}, "the ticket expired on 2023-11-14 22:13 UTC"},
		"a time":    {drs.DeviceToken{Token: "x", Expires: past}, "the ticket expired on 2023-11-14 22:13 UTC"},
		"bearer":    {drs.DeviceToken{Token: "x", Expires: past, Bearer: true}, "the token expired on 2023-11-14 22:13 UTC"},
		"later":     {drs.DeviceToken{Token: ticket(`{"exp":1700000000}`), Expires: time.Now().Add(time.Hour)}, ""},
		"no time":   {drs.DeviceToken{Token: ticket(`{}`)}, ""},
		"no JWT":    {drs.DeviceToken{Token: "x"}, ""},
		"odd claim": {drs.DeviceToken{Token: ticket(`{"exp":"x"}`)}, ""},
	} {
		got, err := c.token.JoinToken(t.Context(), nil)
		if c.want == "" {
			if err != nil || got != &c.token {
				t.Errorf("%s: %v", name, err)
			}
			continue
		}
		var e *drs.Error
		if !errors.As(err, &e) || !strings.Contains(err.Error(), c.want) || !strings.HasPrefix(e.Remedy(), "Get a new t") || e.HRESULT() != 0x800B0101 || e.Retryable() || e.URL != "" {
			t.Errorf("%s: %v", name, err)
		}
	}
}
