package drs

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"net/http"
	"strings"
	"testing"
)

// An issuer of identity tokens is https, or as the token endpoint is, and of the
// endpoint's host or one of Microsoft's.
func TestIsIssuer(t *testing.T) {
	const tenant = "3f0d6c1e-52a4-4b8e-9a57-1c2d7be04f69"
	for _, tt := range []struct {
		issuer, tenant, endpoint string
		want                     bool
	}{
		{"https://login.example/" + tenant + "/", tenant, "https://login.example/x", true},
		{"http://127.0.0.1:1/" + tenant, tenant, "http://127.0.0.1:1/x", true},
		{"http://login.example/" + tenant, tenant, "https://login.example/x", false},
		{"https://login.example/" + tenant, tenant, "http://login.example/x", true},
		{"https://sts.windows.net/" + tenant + "/", tenant, "https://login.example/x", true},
		{"http://sts.windows.net/" + tenant + "/", tenant, "http://login.example/x", false},
		{"https://sts.windows.net/", "", "https://login.example/x", false},
		{"https://login.example/", "", "https://login.example/x", true},
		{"https://login.example/another", tenant, "https://login.example/x", false},
		{"https://other.example/" + tenant, tenant, "https://login.example/x", false},
		{"https://login.example/%zz", "", "https://login.example/x", false},
		{"https://login.example/", "", "https://login.example/%zz", false},
	} {
		if got := isIssuer(tt.issuer, tt.tenant, tt.endpoint); got != tt.want {
			t.Errorf("%s for %q at %s: %v", tt.issuer, tt.tenant, tt.endpoint, got)
		}
	}
}

// The contents of an extension are in an OCTET STRING, or as they are.
func TestExtension(t *testing.T) {
	id := asn1.ObjectIdentifier{1, 2, 3}
	long := strings.Repeat("x", 200)
	for value, want := range map[string]string{
		"": "", "\x04\x00": "", "\x04\x81\x00": "", "\x04\x81\x01a": "a", "\x04\x01a": "a", "\x04\x02a": "\x04\x02a", "\x04\x01ab": "\x04\x01ab", "a": "a", "\x04": "\x04",
		"\x04\x81\xc8" + long: long, "\x04\x81\xc7" + long: "\x04\x81\xc7" + long, "\x05\x01a": "\x05\x01a",
	} {
		cert := &x509.Certificate{Extensions: []pkix.Extension{{Id: id, Value: []byte(value)}}}
		if got, ok := extension(cert, id); !ok || string(got) != want {
			t.Errorf("%.10q: %.10q, %v", value, got, ok)
		}
	}
	if _, ok := extension(new(x509.Certificate), id); ok {
		t.Error("there is none")
	}
}

// Texts of answers have at most maxText bytes.
func TestTextBounds(t *testing.T) {
	for n, want := range map[int]int{maxText: maxText, maxText + 1: maxText, maxText - 1: maxText - 1} {
		var got text
		if err := got.UnmarshalText([]byte(strings.Repeat("x", n))); err != nil || len(got) != want {
			t.Errorf("%d bytes: %d, %v", n, len(got), err)
		}
	}
	var got text
	if err := got.UnmarshalText([]byte(strings.Repeat("x", maxText-1) + "\xff")); err != nil || !strings.HasSuffix(string(got), "x\ufffd") {
		t.Errorf("%q, %v", got[maxText-2:], err)
	}
}

// An answer of discovery may be empty, and then it is malformed.
func TestEmptyDiscovery(t *testing.T) {
	for _, b := range []string{"", " \r\n\t", "\xef\xbb\xbf"} {
		if err := new(discoveryAnswer).read([]byte(b)); err == nil {
			t.Errorf("%q is read", b)
		}
	}
}

// The name of a tenant has at most maxTenant bytes.
func TestTenantBounds(t *testing.T) {
	c := &Client{HTTPClient: &http.Client{Transport: refused{}}}
	for n, sent := range map[int]bool{0: false, 1: true, maxTenant: true, maxTenant + 1: false} {
		if _, err := c.Discover(t.Context(), strings.Repeat("x", n)); errors.Is(err, errRefused) != sent {
			t.Errorf("%d bytes: %v", n, err)
		}
	}
}

// refused is a network without servers.
type refused struct{}

var errRefused = errors.New("refused")

func (refused) RoundTrip(*http.Request) (*http.Response, error) { return nil, errRefused }

// A thumbprint is one of an RSA key or of a key on P-256.
func TestThumbprint(t *testing.T) {
	for _, curve := range []elliptic.Curve{elliptic.P256(), elliptic.P384()} {
		key, err := ecdsa.GenerateKey(curve, rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := thumbprint(key.Public()); (err == nil) != (curve == elliptic.P256()) {
			t.Errorf("%s: %v", curve.Params().Name, err)
		}
	}
	if _, err := thumbprint(ed25519.PublicKey{}); err == nil {
		t.Error("an Ed25519 key")
	}
}

// The tenant of a token is a GUID in a JWT of at most maxToken bytes.
func TestTokenTenant(t *testing.T) {
	const tenant = "3f0d6c1e-52a4-4b8e-9a57-1c2d7be04f69"
	token := func(head, claims string, size int) Token {
		text := b64.EncodeToString([]byte(head)) + "." + b64.EncodeToString([]byte(claims)) + "."
		return Token(text + strings.Repeat("A", max(0, size-len(text))))
	}
	const head, claims = `{"alg":"RS256"}`, `{"tid":"` + tenant + `"}`
	for name, tt := range map[string]struct {
		token Token
		want  string
	}{
		"short":                {token(head, claims, 0), tenant},
		"the longest":          {token(head, claims, maxToken), tenant},
		"too long":             {token(head, claims, maxToken+1), ""},
		"no GUID":              {token(head, `{"tid":"contoso.test"}`, 0), ""},
		"no tenant":            {token(head, `{}`, 0), ""},
		"an unknown algorithm": {token(`{"alg":"unknown"}`, claims, 0), ""},
		"two parts":            {token(head, claims, 0)[:len(token(head, claims, 0))-1], ""},
		"no JWT":               {"1.AXYZ", ""},
	} {
		if got := tokenTenant(tt.token); got != tt.want {
			t.Errorf("%s: %q", name, got)
		}
	}
}
