package attest_test

import (
	"bytes"
	"crypto"
	"testing"

	"github.com/google/go-tpm/tpm2"

	"github.com/whiteglove/whiteglove/attest"
)

// The same as go-tpm's.
func TestKDFa(t *testing.T) {
	key, u, v := []byte("key"), []byte("one"), []byte("two")
	for _, h := range []crypto.Hash{crypto.SHA1, crypto.SHA256, crypto.SHA384, crypto.SHA512} {
		for _, bits := range []int{128, 256, 384, 520} {
			if got, want := attest.KDFa(h, key, "STORAGE", u, v, bits), tpm2.KDFa(h, key, "STORAGE", u, v, bits); !bytes.Equal(got, want) {
				t.Errorf("%v, %d bits: %x, want %x", h, bits, got, want)
			}
		}
	}
}

func TestKDFe(t *testing.T) {
	z, u, v := []byte("secret"), []byte("one"), []byte("two")
	for _, h := range []crypto.Hash{crypto.SHA1, crypto.SHA256, crypto.SHA384, crypto.SHA512} {
		if got, want := attest.KDFe(h, z, "IDENTITY", u, v), tpm2.KDFe(h, z, "IDENTITY", u, v, h.Size()*8); !bytes.Equal(got, want) {
			t.Errorf("%v: %x, want %x", h, got, want)
		}
	}
}
