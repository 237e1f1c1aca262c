package attest_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"testing"

	"github.com/whiteglove/whiteglove/attest"
)

// The key of an area is found to be it, whether its numbers are filled up with
// zeros or not, and no other is.
func TestIsKey(t *testing.T) {
	var keys []crypto.PublicKey
	for range 2 {
		r, err := rsa.GenerateKey(rand.Reader, 2048)
		if err != nil {
			t.Fatal(err)
		}
		keys = append(keys, r.Public())
	}
	var short []byte // X of the last key, which begins with a zero
	for len(short) == 0 {
		e, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		point, err := e.PublicKey.Bytes()
		if err != nil {
			t.Fatal(err)
		}
		if len(keys) == 2 {
			keys = append(keys, e.Public())
		} else if point[1] == 0 {
			keys, short = append(keys, e.Public()), point[1:33]
		}
	}
	areas := make([][]byte, 0, len(keys)+1)
	for _, k := range keys {
		b, err := attest.EKPublicArea(k)
		if err != nil {
			t.Fatal(err)
		}
		areas = append(areas, b)
	}
	sized := append([]byte{0, 32}, short...)
	trimmed := bytes.TrimLeft(short, "\x00")
	stripped := bytes.Replace(areas[3], sized, append([]byte{0, byte(len(trimmed))}, trimmed...), 1)
	areas = append(areas, stripped)
	for i, b := range areas {
		for j, k := range keys {
			if want := i == j || i == 4 && j == 3; attest.IsKey(b, k) != want {
				t.Errorf("area %d, key %d: not %t", i, j, want)
			}
		}
	}
}
