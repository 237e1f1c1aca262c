package drs_test

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/ecdh"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"math/big"
	"strings"
	"testing"

	"github.com/whiteglove/whiteglove/drs"
)

// The example of RFC 7518, appendix C: an ephemeral key of Alice and a key of Bob on P-256.
func TestConcatKDF(t *testing.T) {
	number := func(text string) []byte {
		b, err := base64.RawURLEncoding.DecodeString(text)
		if err != nil {
			t.Fatal(err)
		}
		return new(big.Int).SetBytes(b).FillBytes(make([]byte, 32))
	}
	bob, err := ecdh.P256().NewPrivateKey(number("VEmDZpDXXK8p8N0Cndsxs924q6nS1RXFASRl6BfUqdw"))
	if err != nil {
		t.Fatal(err)
	}
	alice, err := ecdh.P256().NewPublicKey(append(append([]byte{4}, number("gI0GAILBdu7T53akrFmMyGcsF3n5dO7MmwNBHKW5SV0")...), number("SLW_xSffzlPWrHEVI30DHM_4egVwt3NQqeUD7nMFpps")...))
	if err != nil {
		t.Fatal(err)
	}
	z, err := bob.ECDH(alice)
	if err != nil {
		t.Fatal(err)
	}
	if got := base64.RawURLEncoding.EncodeToString(drs.ConcatKDF(z, "A128GCM", []byte("Alice"), []byte("Bob"), 16)); got != "VqqN6vgjbSBcIijNcacQGg" {
		t.Errorf("got %s", got)
	}
}

// sealECDH encrypts a text for a storage key as a service does. The ephemeral key takes
// the place of KEY in the header, and its coordinates that of XX and YY in the key; X0 has
// a zero before it.
func sealECDH(t *testing.T, storage *ecdh.PublicKey, head, key, apu, apv string) []byte {
	t.Helper()
	own, err := ecdh.P256().GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	z, err := own.ECDH(storage)
	if err != nil {
		t.Fatal(err)
	}
	e := base64.RawURLEncoding
	point := own.PublicKey().Bytes()
	members := strings.NewReplacer("XX", e.EncodeToString(point[1:33]), "X0", e.EncodeToString(append([]byte{0}, point[1:33]...)), "YY", e.EncodeToString(point[33:])).Replace(key)
	protected := e.EncodeToString([]byte(strings.ReplaceAll(head, "KEY", members)))
	block, err := aes.NewCipher(drs.ConcatKDF(z, "A256GCM", []byte(apu), []byte(apv), 32))
	if err != nil {
		t.Fatal(err)
	}
	gcm, err := cipher.NewGCM(block)
	if err != nil {
		t.Fatal(err)
	}
	iv := make([]byte, gcm.NonceSize())
	sealed := gcm.Seal(nil, iv, []byte(`"opened"`), []byte(protected))
	text, tag := sealed[:len(sealed)-gcm.Overhead()], sealed[len(sealed)-gcm.Overhead():]
	return []byte(protected + ".." + e.EncodeToString(iv) + "." + e.EncodeToString(text) + "." + e.EncodeToString(tag))
}

// A header that is not one of protocol 4 is refused, although the content is encrypted as
// it says.
func TestOpenECDHHeader(t *testing.T) {
	storage, err := ecdh.P256().GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	const (
		head = `{"alg":"ECDH-ES","enc":"A256GCM",KEY}`
		key  = `"epk":{"kty":"EC","crv":"P-256","x":"XX","y":"YY"}`
	)
	for name, tt := range map[string]struct {
		head, key, apu string
		ok             bool
	}{
		"good":                     {head, key, "", true},
		"with the recipient":       {`{"alg":"ECDH-ES","enc":"A256GCM","apv":"YXB2",KEY}`, key, "", true},
		"with the sender":          {`{"alg":"ECDH-ES","enc":"A256GCM","apu":"YXB1",KEY}`, key, "apu", true},
		"for another recipient":    {`{"alg":"ECDH-ES","enc":"A256GCM","apv":"b3RoZXI",KEY}`, key, "", false},
		"apu is no base64":         {`{"alg":"ECDH-ES","enc":"A256GCM","apu":"YXB1*",KEY}`, key, "apu", false},
		"another algorithm":        {`{"alg":"dir","enc":"A256GCM",KEY}`, key, "", false},
		"another encryption":       {`{"alg":"ECDH-ES","enc":"A128GCM",KEY}`, key, "", false},
		"another kind of key":      {head, strings.Replace(key, "EC", "OKP", 1), "", false},
		"another curve":            {head, strings.Replace(key, "P-256", "P-384", 1), "", false},
		"a long coordinate":        {head, strings.Replace(key, "XX", "X0", 1), "", false},
		"a coordinate, no base64":  {head, strings.Replace(key, "XX", "XX*", 1), "", false},
		"a member of another kind": {`{"alg":"ECDH-ES","enc":"A256GCM","epk":7}`, key, "", false},
		"no key":                   {`{"alg":"ECDH-ES","enc":"A256GCM"}`, key, "", false},
		"not on the curve":         {head, strings.Replace(key, "YY", "XX", 1), "", false},
	} {
		var v any
		err := drs.OpenECDH(sealECDH(t, storage.PublicKey(), tt.head, tt.key, tt.apu, "apv"), storage, "YXB2", &v)
		if tt.ok && (err != nil || v != "opened") || !tt.ok && (!errors.Is(err, drs.ErrMalformed) || v != nil) {
			t.Errorf("%s: %v, %v", name, err, v)
		}
	}
	reply := sealECDH(t, storage.PublicKey(), head, key, "", "apv")
	var v any
	if err := drs.OpenECDH(reply, storage, "YXB2*", &v); !errors.Is(err, drs.ErrMalformed) {
		t.Errorf("the request's own apv is no base64: %v", err)
	}
	reply[len(reply)-2] ^= 1
	if err := drs.OpenECDH(reply, storage, "YXB2", &v); !errors.Is(err, drs.ErrMalformed) || v != nil {
		t.Errorf("changed: %v", err)
	}
	storage, err = ecdh.P256().NewPrivateKey(append(make([]byte, 31), 1))
	if err != nil {
		t.Fatal(err)
	}
	for _, reply := range []string{"", "a.b.c", `{"access_token":"x"}`} {
		var v any
		if err := drs.OpenECDH([]byte(reply), storage, "YXB2", &v); !errors.Is(err, drs.ErrMalformed) {
			t.Errorf("%s: %v", reply, err)
		}
	}
}

func FuzzOpenECDH(f *testing.F) {
	storage, err := ecdh.P256().NewPrivateKey(append(make([]byte, 31), 1))
	if err != nil {
		f.Fatal(err)
	}
	e := base64.RawURLEncoding.EncodeToString
	f.Add([]byte(e([]byte(`{"alg":"ECDH-ES","enc":"A256GCM","apu":"","epk":{"kty":"EC","crv":"P-256","x":"axfR8uEsQkf4vOblY6RA8ncDfYEt6zOg9KE5RdiYwpY","y":"T-NC4v4af5uO5-tKfA-eFivOM1drMV7Oy7ZAaDe_UfU"}}`)) + "..AAAAAAAAAAAAAAAA.AAAA.AAAAAAAAAAAAAAAAAAAAAA"))
	f.Add([]byte("...."))
	f.Fuzz(func(t *testing.T, b []byte) {
		var v any
		if err := drs.OpenECDH(b, storage, "YXB2", &v); err == nil {
			t.Errorf("opened %q", b)
		}
	})
}
