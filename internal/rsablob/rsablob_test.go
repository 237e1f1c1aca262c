package rsablob_test

import (
	"bytes"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"math/big"
	"os"
	"strings"
	"testing"

	"github.com/whiteglove/whiteglove/internal/rsablob"
)

// sample returns a sample of [MS-DVRJ] 4.1.
func sample(t testing.TB, name string) []byte {
	t.Helper()
	text, err := os.ReadFile("testdata/ms-dvrj-" + name + ".b64")
	if err != nil {
		t.Fatal(err)
	}
	b, err := base64.StdEncoding.DecodeString(strings.ReplaceAll(string(text), "\n", ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestSample(t *testing.T) {
	blob := sample(t, "transportkey")
	sum := sha256.Sum256(blob)
	if got := hex.EncodeToString(sum[:]); len(blob) != 283 || got != "38545459f679de17c3051497bb05b3e88116a3f774f683b0f8e308fc896604ce" {
		t.Fatalf("the sample has %d bytes and hash %s", len(blob), got)
	}
	key, err := rsablob.Parse(blob)
	if err != nil {
		t.Fatal(err)
	}
	if key.E != 65537 || key.N.BitLen() != 2048 || !strings.HasPrefix(key.N.Text(16), "9a1ed46b62") {
		t.Errorf("exponent %d, modulus %x", key.E, key.N)
	}
	if !bytes.Equal(rsablob.Marshal(key), blob) {
		t.Error("the key does not make the same blob again")
	}
}

// The layout is that of BCRYPT_RSAKEY_BLOB, written out.
func TestLayout(t *testing.T) {
	n := new(big.Int).SetBytes(append(append([]byte{0xC1}, make([]byte, 126)...), 0x03))
	want := "52534131" + "00040000" + "03000000" + "80000000" + "00000000" + "00000000" + "010001" + hex.EncodeToString(n.Bytes())
	if got := hex.EncodeToString(rsablob.Marshal(&rsa.PublicKey{N: n, E: 65537})); got != want {
		t.Errorf("got %s", got)
	}
}

func TestParseRefuses(t *testing.T) {
	good := sample(t, "transportkey")
	change := func(f func(b []byte) []byte) []byte { return f(bytes.Clone(good)) }
	set := func(at int, v byte) []byte { return change(func(b []byte) []byte { b[at] = v; return b }) }
	for name, b := range map[string][]byte{
		"nothing":          nil,
		"header only":      good[:24],
		"private key":      set(3, '2'),
		"bits too many":    set(5, 16),
		"exponent of 0":    set(8, 0),
		"exponent of 5":    set(8, 5),
		"prime":            set(16, 1),
		"second prime":     set(20, 1),
		"modulus too long": set(13, 2),
		"short":            good[:282],
		"long":             append(bytes.Clone(good), 0),
		"even exponent":    set(26, 0),
		"padded exponent":  set(24, 0),
		"even modulus":     set(282, 0),
		"modulus too low":  set(27, 0),
	} {
		if key, err := rsablob.Parse(b); err == nil {
			t.Errorf("%s: got a key of %d bits", name, key.N.BitLen())
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add(sample(f, "transportkey"))
	f.Add([]byte("RSA1"))
	f.Add(make([]byte, 24))
	f.Fuzz(func(t *testing.T, b []byte) {
		key, err := rsablob.Parse(b)
		if err == nil && !bytes.Equal(rsablob.Marshal(key), b) {
			t.Errorf("%x is read, but not written again", b)
		}
	})
}
