package softtpm

import (
	"bytes"
	"crypto"
	"encoding/hex"
	"math/big"
	"testing"

	"github.com/google/go-tpm/tpm2"
)

// The primes that are shipped are those that the search finds.
func TestKnownPrimes(t *testing.T) {
	t.Parallel()
	if len(knownPrimes()) != 2 {
		t.Fatalf("%d keys", len(knownPrimes()))
	}
	for key, want := range knownPrimes() {
		p, q := (&stream{key: []byte(key)}).search(2048)
		if p.Cmp(want[0]) != 0 || q.Cmp(want[1]) != 0 {
			t.Errorf("stream %x finds %x, %x", key, p, q)
		}
	}
}

// They are those of the default EK and SRK: no search is made for these.
func TestKnownStreams(t *testing.T) {
	t.Parallel()
	tpm := New(Identity{}, []byte("SIM0 TPM number 1"))
	for _, c := range []struct {
		root     uint32
		template tpm2.TPMTPublic
	}{{Endorsement, tpm2.RSAEKTemplate}, {Owner, tpm2.RSASRKTemplate}} {
		r := reader{b: tpm2.Marshal(c.template)}
		p := r.public(false)
		s := newStream(tpm.hierarchy(c.root).seed, []byte("primary"), p.marshal())
		if _, ok := knownPrimes()[string(s.key)]; !ok {
			t.Errorf("stream %x is not known", s.key)
		}
	}
}

// What a stream gives must not change: keys follow from it.
func TestStream(t *testing.T) {
	t.Parallel()
	s := newStream([]byte("seed"), []byte("a"), []byte("b"))
	first := s.bytes(5)
	got := hex.EncodeToString(append(first, s.bytes(35)...))
	if want := "57858dd3601598fc7b8365ad35ee3ae326d221eee7f4b3c1c574934a5b13541344447778e00c4eed"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	if bytes.Equal(newStream([]byte("seed"), []byte("ab"), nil).bytes(40), newStream([]byte("seed"), []byte("a"), []byte("b")).bytes(40)) {
		t.Error("the parts run into each other")
	}
}

func TestPrimeFrom(t *testing.T) {
	t.Parallel()
	// 2^64 - 59 is the largest prime of 64 bits; 2^64 - 83 is the one before.
	top := new(big.Int).Lsh(big.NewInt(1), 64)
	for _, c := range []struct{ from, want int64 }{{-257, -257}, {-255, -189}, {-81, -59}, {-57, 0}} {
		p := primeFrom(new(big.Int).Add(top, big.NewInt(c.from)), 64)
		switch {
		case c.want == 0 && p != nil:
			t.Errorf("2^64%d: found %x", c.from, p)
		case c.want != 0 && (p == nil || new(big.Int).Sub(p, top).Int64() != c.want):
			t.Errorf("2^64%d: found %v, want 2^64%d", c.from, p, c.want)
		}
	}
}

// The key derivations are those of go-tpm, too.
func TestKDF(t *testing.T) {
	t.Parallel()
	key, u, v := []byte("key"), []byte("one"), []byte("two")
	for _, c := range []struct {
		alg  uint16
		hash crypto.Hash
	}{{algSHA1, crypto.SHA1}, {algSHA256, crypto.SHA256}, {algSHA384, crypto.SHA384}} {
		for _, bits := range []int{128, 256, 384, 520} {
			if got, want := kdfA(c.alg, key, "ATH", u, v, bits), tpm2.KDFa(c.hash, key, "ATH", u, v, bits); !bytes.Equal(got, want) {
				t.Errorf("KDFa %v, %d bits: %x, want %x", c.hash, bits, got, want)
			}
			if got, want := kdfE(c.alg, key, "SECRET", u, v, bits), tpm2.KDFe(c.hash, key, "SECRET", u, v, bits); !bytes.Equal(got, want) {
				t.Errorf("KDFe %v, %d bits: %x, want %x", c.hash, bits, got, want)
			}
		}
	}
}

// A damaged snapshot is refused.
func TestRestore(t *testing.T) {
	t.Parallel()
	tpm := New(Identity{}, []byte("seed"))
	template := tpm2.Marshal(tpm2.ECCSRKTemplate)
	if _, err := tpm.Primary(Owner, template, 0x81000001); err != nil {
		t.Fatal(err)
	}
	b, err := tpm.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Restore(Identity{}, b); err != nil {
		t.Error(err)
	}
	for n := 0; n < len(b)-1; n += 13 {
		if _, err := Restore(Identity{}, b[:n]); err == nil {
			t.Errorf("the first %d bytes are taken", n)
		}
	}
	if _, err := tpm.Primary(Owner, template[:9], 0); err == nil {
		t.Error("a cut template is taken")
	}
	if err := tpm.WriteNV(0x81000001, NVCertificate, nil); err == nil {
		t.Error("a handle of another type is taken for an NV index")
	}
}
