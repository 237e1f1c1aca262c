package jose_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"errors"
	"io"
	"testing"

	"github.com/golang-jwt/jwt/v5"

	"github.com/whiteglove/whiteglove/internal/jose"
)

// opaque hides a key's type, as a TPM does.
type opaque struct{ key crypto.Signer }

func (o opaque) Public() crypto.PublicKey { return o.key.Public() }

func (o opaque) Sign(r io.Reader, d []byte, opts crypto.SignerOpts) ([]byte, error) {
	return o.key.Sign(r, d, opts)
}

func TestSign(t *testing.T) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	text, err := jose.Sign(opaque{key}, nil, jwt.MapClaims{"sub": "device"})
	if err != nil {
		t.Fatal(err)
	}
	// The judge is the library's own verifier.
	parse := func(text string) (*jwt.Token, error) {
		return jwt.Parse(text, func(*jwt.Token) (any, error) { return &key.PublicKey, nil }, jwt.WithValidMethods([]string{"RS256"}))
	}
	token, err := parse(text)
	if err != nil {
		t.Fatal(err)
	}
	if sub, _ := token.Claims.GetSubject(); sub != "device" {
		t.Errorf("sub is %q", sub)
	}
	if _, err := parse(text[:len(text)-8] + "AAAAAAAA"); !errors.Is(err, jwt.ErrTokenSignatureInvalid) {
		t.Errorf("changed signature: %v", err)
	}
}

func TestSignES256(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for range 50 { // some numbers begin with zeros
		text, err := jose.Sign(opaque{key}, nil, jwt.MapClaims{"sub": "device"})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := jwt.Parse(text, func(*jwt.Token) (any, error) { return &key.PublicKey, nil }, jwt.WithValidMethods([]string{"ES256"})); err != nil {
			t.Fatal(err)
		}
	}
}

// A liar signs with something that is not a signature.
type liar struct{ opaque }

func (liar) Sign(io.Reader, []byte, crypto.SignerOpts) ([]byte, error) { return []byte("x"), nil }

func TestSignRefusesOtherKeys(t *testing.T) {
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := jose.Sign(p384, nil, jwt.MapClaims{}); !errors.Is(err, jwt.ErrInvalidKeyType) {
		t.Errorf("key on P-384: %v", err)
	}
	p256, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := jose.Sign(liar{opaque{p256}}, nil, jwt.MapClaims{}); err == nil {
		t.Error("no signature: no error")
	}
	for _, m := range []jwt.SigningMethod{jose.RS256{}, jose.ES256{}} {
		if _, err := m.Sign("x", "key"); !errors.Is(err, jwt.ErrInvalidKeyType) {
			t.Errorf("%s: %v", m.Alg(), err)
		}
	}
	if _, err := (jose.RS256{}).Sign("x", p256); !errors.Is(err, jwt.ErrInvalidKeyType) {
		t.Errorf("EC key for RS256: %v", err)
	}
}
