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

func TestSignRefusesOtherKeys(t *testing.T) {
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := jose.Sign(ec, nil, jwt.MapClaims{}); !errors.Is(err, jwt.ErrInvalidKeyType) {
		t.Errorf("EC key: %v", err)
	}
}
