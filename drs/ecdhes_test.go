package drs_test

import (
	"crypto/ecdh"
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

// Replies that are not those of protocol 4 are refused, always with the same error.
func TestOpenECDHRefuses(t *testing.T) {
	storage, err := ecdh.P256().NewPrivateKey(append(make([]byte, 31), 1))
	if err != nil {
		t.Fatal(err)
	}
	e := base64.RawURLEncoding.EncodeToString
	const epk = `"epk":{"kty":"EC","crv":"P-256","x":"axfR8uEsQkf4vOblY6RA8ncDfYEt6zOg9KE5RdiYwpY","y":"T-NC4v4af5uO5-tKfA-eFivOM1drMV7Oy7ZAaDe_UfU"}`
	for _, head := range []string{
		``, `{}`, `{"alg":"dir","enc":"A256GCM",` + epk + `}`, `{"alg":"ECDH-ES","enc":"A128GCM",` + epk + `}`,
		`{"alg":"ECDH-ES","enc":"A256GCM","apv":"b3RoZXI",` + epk + `}`, `{"alg":"ECDH-ES","enc":"A256GCM","apu":"=",` + epk + `}`,
		`{"alg":"ECDH-ES","enc":"A256GCM"}`, `{"alg":"ECDH-ES","enc":"A256GCM",` + strings.Replace(epk, "P-256", "P-384", 1) + `}`,
		`{"alg":"ECDH-ES","enc":"A256GCM",` + strings.Replace(epk, `"x":"a`, `"x":"b`, 1) + `}`,
		`{"alg":"ECDH-ES","enc":"A256GCM",` + epk + `}`, // its content is not encrypted with the key
	} {
		reply := e([]byte(head)) + ".." + e(make([]byte, 12)) + "." + e([]byte("text")) + "." + e(make([]byte, 16))
		var v any
		if err := drs.OpenECDH([]byte(reply), storage, "YXB2", &v); !errors.Is(err, drs.ErrMalformed) || v != nil {
			t.Errorf("%s: %v", head, err)
		}
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
