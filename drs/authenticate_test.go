package drs_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/whiteglove/whiteglove/drs"
)

// fakeService gives fixed answers to requests for a challenge, a nonce and a token.
func fakeService(t *testing.T, challenge, token map[string]any) (*drs.Client, *drs.Discovery, *string) {
	t.Helper()
	assertion := new(string)
	mux := http.NewServeMux()
	mux.HandleFunc("POST /challenge", func(w http.ResponseWriter, r *http.Request) { json.NewEncoder(w).Encode(challenge) })
	mux.HandleFunc("POST /token", func(w http.ResponseWriter, r *http.Request) {
		if r.PostFormValue("grant_type") == "srv_challenge" {
			fmt.Fprintf(w, `{"Nonce":%q}`, or(challenge["nonce of the token endpoint"], "n0nce"))
			return
		}
		*assertion = r.PostFormValue("assertion")
		json.NewEncoder(w).Encode(token)
	})
	ts := httptest.NewServer(mux)
	t.Cleanup(ts.Close)
	c := &drs.Client{BaseURL: ts.URL, Now: func() time.Time { return clock }}
	return c, &drs.Discovery{TenantID: tenantID, ProofEndpoint: ts.URL + "/challenge", ProofVersion: "1.0", TokenEndpoint: ts.URL + "/token", JoinResource: "urn"}, assertion
}

func goodChallenge() map[string]any {
	return map[string]any{
		"ChallengeId": "c1", "CredentialBlob": "AAIBAg==", "EncryptedSecret": "AAEJ", "ServerNonce": base64.StdEncoding.EncodeToString(make([]byte, 32)),
		"ExpiresIn": 300, "Audience": "aud",
	}
}

func goodToken() map[string]any {
	return map[string]any{"token_type": "Bearer", "access_token": "t0ken", "expires_in": "3599"}
}

// assertionKey is the MAC key of the assertion in TestAssertion, in base64.
const assertionKey = "vmgOVrUjWx0T/OsACj+a1IqsqDfNEXHpFshH6P1F/9A="

// area is the start of a public area with the name algorithm SHA-256.
var area = []byte{0x00, 0x01, 0x00, 0x0B, 0, 0, 0, 0}

func proof(t *testing.T, secret []byte) *drs.Proof {
	return &drs.Proof{EK: &key(t).PublicKey, EKPublicArea: area, AIKPublicArea: area, Activate: func(_ context.Context, blob, enc []byte) ([]byte, error) {
		if string(blob) != "\x01\x02" || string(enc) != "\x09" {
			return nil, fmt.Errorf("credential %x, %x", blob, enc)
		}
		return secret, nil
	}}
}

// The MAC of the assertion verifies with a key that was computed without this module: HKDF
// (RFC 5869) of the secret 00…1f, a nonce of zeros and the challenge's identifier.
func TestAssertion(t *testing.T) {
	c, d, text := fakeService(t, goodChallenge(), goodToken())
	secret := make([]byte, 32)
	for i := range secret {
		secret[i] = byte(i)
	}
	p := proof(t, secret)
	p.DeviceKey, p.TransportKey = &key(t).PublicKey, &key(t).PublicKey
	got, err := c.Authenticate(t.Context(), d, p)
	if err != nil {
		t.Fatal(err)
	}
	if string(got.Token) != "t0ken" || len(got.Nonce) != 32 || !got.Expires.Equal(clock.Add(3599*time.Second)) {
		t.Errorf("got %+v", *got)
	}
	mac, err := base64.StdEncoding.DecodeString(assertionKey)
	if err != nil {
		t.Fatal(err)
	}
	claims := jwt.MapClaims{}
	token, err := jwt.ParseWithClaims(*text, claims, func(*jwt.Token) (any, error) { return mac, nil },
		jwt.WithValidMethods([]string{"HS256"}), jwt.WithTimeFunc(func() time.Time { return clock }), jwt.WithAudience("aud"))
	if err != nil {
		t.Fatal(err)
	}
	cnf, _ := claims["cnf"].(map[string]any)
	if token.Header["kid"] != "c1" || claims["jti"] != "c1" || claims["request_nonce"] != "n0nce" || claims["iss"] != claims["sub"] ||
		!strings.HasPrefix(claims["iss"].(string), "ek:") || len(cnf["jkt"].(string)) != 43 || len(claims["tk_sha256"].(string)) != 43 ||
		len(claims["aik_name"].(string)) != 46 || claims["exp"].(float64)-claims["iat"].(float64) != 300 {
		t.Errorf("header %v, claims %v", token.Header, claims)
	}
	if [32]byte(secret) != [32]byte{} {
		t.Error("the secret was not erased")
	}
}

func TestAuthenticateRefusesAnswers(t *testing.T) {
	const remove = "\x00"
	for _, c := range []struct {
		in, field string
		value     any
		err       error
	}{
		{"challenge", "ChallengeId", remove, drs.ErrMalformed},
		{"challenge", "ChallengeId", strings.Repeat("x", 129), drs.ErrMalformed},
		{"challenge", "ChallengeId", "a\nb", drs.ErrMalformed},
		{"challenge", "CredentialBlob", remove, drs.ErrMalformed},
		{"challenge", "CredentialBlob", "AAMBAg==", drs.ErrMalformed},
		{"challenge", "EncryptedSecret", "AAA=", drs.ErrMalformed},
		{"challenge", "EncryptedSecret", "!", drs.ErrMalformed},
		{"challenge", "ServerNonce", "AAAA", drs.ErrMalformed},
		{"challenge", "ExpiresIn", 0, drs.ErrMalformed},
		{"challenge", "Audience", remove, drs.ErrMalformed},
		{"challenge", "TokenEndpoint", "http://login.example/token", drs.ErrEndpoint},
		{"token", "token_type", "pop", drs.ErrMalformed},
		{"token", "access_token", "", drs.ErrMalformed},
		{"token", "access_token", strings.Repeat("x", 40<<10), drs.ErrMalformed},
		{"token", "expires_in", "soon", drs.ErrMalformed},
		{"token", "expires_in", remove, drs.ErrMalformed},
	} {
		parts := map[string]map[string]any{"challenge": goodChallenge(), "token": goodToken()}
		parts[c.in][c.field] = c.value
		if c.value == remove {
			delete(parts[c.in], c.field)
		}
		cl, d, _ := fakeService(t, parts["challenge"], parts["token"])
		got, err := cl.Authenticate(t.Context(), d, proof(t, make([]byte, 32)))
		var e *drs.Error
		if !errors.As(err, &e) || !errors.Is(err, c.err) || got != nil || e.Op != "Authenticate" {
			t.Errorf("%s %s: %v", c.in, c.field, err)
		}
	}
}

func TestAuthenticateRefusesProofs(t *testing.T) {
	failed := errors.New("TPM failed")
	for name, change := range map[string]func(*drs.Proof){
		"no EK":            func(p *drs.Proof) { p.EK = nil },
		"no EK area":       func(p *drs.Proof) { p.EKPublicArea = nil },
		"no AIK":           func(p *drs.Proof) { p.AIKPublicArea = nil },
		"AIK named by SM3": func(p *drs.Proof) { p.AIKPublicArea = []byte{0, 1, 0, 0x12} },
		"no Activate":      func(p *drs.Proof) { p.Activate = nil },
		"Activate fails": func(p *drs.Proof) {
			p.Activate = func(context.Context, []byte, []byte) ([]byte, error) { return nil, failed }
		},
		"Activate is short": func(p *drs.Proof) {
			p.Activate = func(context.Context, []byte, []byte) ([]byte, error) { return []byte{1}, nil }
		},
	} {
		c, d, _ := fakeService(t, goodChallenge(), goodToken())
		p := proof(t, make([]byte, 32))
		change(p)
		_, err := c.Authenticate(t.Context(), d, p)
		var e *drs.Error
		if !errors.As(err, &e) || e.Op != "Authenticate" || (name == "Activate fails") != errors.Is(err, failed) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
