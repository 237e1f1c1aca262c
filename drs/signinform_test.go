package drs

import (
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// What a sign-in needs for its protocol, and what it may not have.
func TestCheckProtocol(t *testing.T) {
	transport, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	device, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	storage, err := device.ECDH()
	if err != nil {
		t.Fatal(err)
	}
	other, err := ecdh.P384().GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	cert := new(x509.Certificate)
	for name, tt := range map[string]struct {
		in SignIn
		ok bool
	}{
		"protocol 2":                    {SignIn{Certificate: cert, DeviceKey: transport, TransportKey: transport}, true},
		"protocol 2, no transport key":  {SignIn{Certificate: cert, DeviceKey: transport}, false},
		"protocol 3":                    {SignIn{Protocol: 3, Certificate: cert, DeviceKey: transport, TransportKey: transport}, true},
		"protocol 1":                    {SignIn{Protocol: 1, Certificate: cert, DeviceKey: transport, TransportKey: transport}, false},
		"protocol 5":                    {SignIn{Protocol: 5, Certificate: cert, DeviceKey: transport, TransportKey: transport}, false},
		"protocol 4":                    {SignIn{Protocol: 4, Certificate: cert, DeviceKey: device, StorageKey: storage}, true},
		"protocol 4, no storage key":    {SignIn{Protocol: 4, Certificate: cert, DeviceKey: device}, false},
		"protocol 4, P-384":             {SignIn{Protocol: 4, Certificate: cert, DeviceKey: device, StorageKey: other}, false},
		"protocol 4, RSA device key":    {SignIn{Protocol: 4, Certificate: cert, DeviceKey: transport, StorageKey: storage}, false},
		"protocol 4, keyless token":     {SignIn{Protocol: 4, Certificate: cert, DeviceKey: device, StorageKey: keyless{}}, false},
		"a code":                        {SignIn{Protocol: 3, Code: "c", RedirectURI: "https://x", TransportKey: transport}, true},
		"a code, protocol 2":            {SignIn{Protocol: 2, Code: "c", RedirectURI: "https://x", TransportKey: transport}, false},
		"a code, protocol 4":            {SignIn{Protocol: 4, Code: "c", RedirectURI: "https://x", DeviceKey: device, StorageKey: storage}, false},
		"a code without a redirect URI": {SignIn{Protocol: 3, Code: "c", TransportKey: transport}, false},
		"a code and a certificate":      {SignIn{Protocol: 3, Code: "c", RedirectURI: "https://x", Certificate: cert, TransportKey: transport}, false},
		"a code without transport key":  {SignIn{Protocol: 3, Code: "c", RedirectURI: "https://x"}, false},
		"key derivation 1":              {SignIn{KDF: 1, Certificate: cert, DeviceKey: transport, TransportKey: transport}, true},
		"key derivation 3":              {SignIn{KDF: 3, Certificate: cert, DeviceKey: transport, TransportKey: transport}, false},
		"key derivation -1":             {SignIn{KDF: -1, Certificate: cert, DeviceKey: transport, TransportKey: transport}, false},
	} {
		if err := tt.in.checkProtocol(); (err == nil) != tt.ok {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// keyless is the key of a token that does not answer.
type keyless struct{}

func (keyless) PublicKey() *ecdh.PublicKey           { return nil }
func (keyless) Curve() ecdh.Curve                    { return ecdh.P256() }
func (keyless) ECDH(*ecdh.PublicKey) ([]byte, error) { return nil, ErrSession }

// Members of a request that are empty are not sent.
func TestOptionalMembers(t *testing.T) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	for _, in := range []*SignIn{
		{TransportKey: key, DeviceKey: key, Certificate: new(x509.Certificate)},
		{TransportKey: key, DeviceKey: key, Certificate: new(x509.Certificate), CodeVerifier: "v", OSVersion: "10.0", RedirectURI: "https://x"},
	} {
		form, err := in.codeForm()
		if err != nil {
			t.Fatal(err)
		}
		if form.Has("code_verifier") != (in.CodeVerifier != "") || form.Get("code_verifier") != in.CodeVerifier {
			t.Errorf("code_verifier %q", form["code_verifier"])
		}
		text, err := in.sign(new(Discovery), "nonce", nil, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		claims := jwt.MapClaims{}
		if _, _, err := jwt.NewParser().ParseUnverified(text, claims); err != nil {
			t.Fatal(err)
		}
		for name, want := range map[string]string{"win_ver": in.OSVersion, "redirect_uri": in.RedirectURI} {
			if got, sent := claims[name]; sent != (want != "") || sent && got != want {
				t.Errorf("%s: %v, want %q", name, got, want)
			}
		}
	}
}

// The tokens of a session have at most maxToken bytes.
func TestSessionBounds(t *testing.T) {
	for size, ok := range map[int]bool{1: true, maxToken: true, maxToken + 1: false} {
		for name, a := range map[string]*sessionAnswer{
			"refresh token": {RefreshToken: strings.Repeat("x", size), SessionKey: "x"},
			"session key":   {RefreshToken: "x", SessionKey: strings.Repeat("x", size)},
		} {
			_, err := new(Client).session(a, secrets{})
			if refused := err != nil && strings.Contains(err.Error(), "the refresh token has"); refused == ok {
				t.Errorf("%s of %d bytes: %v", name, size, err)
			}
		}
	}
	if _, err := new(Client).session(&sessionAnswer{SessionKey: "x"}, secrets{}); err == nil {
		t.Error("no refresh token")
	}
}
