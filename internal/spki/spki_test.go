package spki_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"math/big"
	"testing"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"

	"github.com/whiteglove/whiteglove/internal/spki"
)

// keys returns keys of the kinds that TPMs support, and of one that they do not.
func keys(t *testing.T) map[string]interface{ Equal(crypto.PublicKey) bool } {
	t.Helper()
	p256, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	ed, _, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	n := new(big.Int).Lsh(big.NewInt(3), 2046)
	return map[string]interface{ Equal(crypto.PublicKey) bool }{
		"RSA": &rsa.PublicKey{N: n.Add(n, big.NewInt(1)), E: 65537}, "P-256": &p256.PublicKey, "Ed25519": ed,
	}
}

// longer appends a NULL to the contents of a SEQUENCE.
func longer(t *testing.T, der []byte) []byte {
	t.Helper()
	in, body := cryptobyte.String(der), cryptobyte.String(nil)
	if !in.ReadASN1(&body, asn1.SEQUENCE) {
		t.Fatal("no SEQUENCE")
	}
	var b cryptobyte.Builder
	b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddBytes(body)
		b.AddASN1NULL()
	})
	return b.BytesOrPanic()
}

func TestParse(t *testing.T) {
	for name, key := range keys(t) {
		der, err := x509.MarshalPKIXPublicKey(key)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := spki.Parse(der); err != nil || !key.Equal(got) {
			t.Errorf("%s: %v, %v", name, got, err)
		}
		other := longer(t, der)
		if got, err := x509.ParsePKIXPublicKey(other); err != nil || !key.Equal(got) {
			t.Errorf("%s: crypto/x509 does not take it: %v", name, err)
		}
		for what, bad := range map[string][]byte{"longer": other, "trailing": append(der, 0), "cut": der[:len(der)-1], "none": nil} {
			if got, err := spki.Parse(bad); err == nil || got != nil {
				t.Errorf("%s, %s: %v", name, what, got)
			}
		}
	}
}

// FuzzParse checks that Parse accepts only the canonical form.
func FuzzParse(f *testing.F) {
	f.Add([]byte{0x30, 0x00})
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		f.Fatal(err)
	}
	der, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(der)
	f.Fuzz(func(t *testing.T, in []byte) {
		key, err := spki.Parse(in)
		if err != nil {
			return
		}
		if again, err := x509.MarshalPKIXPublicKey(key); err != nil || string(again) != string(in) {
			t.Errorf("%x became %x, %v", in, again, err)
		}
	})
}
