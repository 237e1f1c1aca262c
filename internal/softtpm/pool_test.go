package softtpm

import (
	"bytes"
	"encoding/hex"
	"math/big"
	"strings"
	"testing"

	"github.com/google/go-tpm/tpm2"
)

// The primes that are written down are prime, of the right size, and the first
// ones are those that the search finds.
func TestPooledPrimes(t *testing.T) {
	t.Parallel()
	for i, offset := range pooledOffsets {
		start := pooledStart(i)
		p := new(big.Int).Add(start, big.NewInt(2*int64(offset)))
		if p.BitLen() != pooledBits/2 || p.Bit(pooledBits/2-2) != 1 || !p.ProbablyPrime(0) {
			t.Errorf("%d is no prime of the size", i)
		}
		if i >= 4 {
			continue
		}
		if want := primeFrom(start, pooledBits/2); p.Cmp(want) != 0 {
			t.Errorf("%d is not the prime that the search finds", i)
		}
	}
}

// No two keys of a pool have the same modulus, over the end of the primes that
// are written down, and each is a valid key.
func TestPoolDistinct(t *testing.T) {
	t.Parallel()
	k := pool{of: map[string][2]*big.Int{}}
	seen := map[string]bool{}
	for i := range len(pooledOffsets) + 20 {
		p, q := k.take()
		if rsaFromPrimes(p, q) == nil {
			t.Fatalf("key %d is not valid", i)
		}
		n := new(big.Int).Mul(p, q)
		if n.BitLen() != pooledBits || seen[n.String()] {
			t.Fatalf("key %d has %d bits, or was there before", i, n.BitLen())
		}
		seen[n.String()] = true
	}
}

// A primary is the same whenever it is made: by another TPM of the same seed,
// and by one that goes on from the state in another process.
func TestPooledPrimary(t *testing.T) {
	t.Parallel()
	endorse := func(tpm *TPM) []byte {
		area, err := tpm.Primary(Endorsement, tpm2.Marshal(tpm2.RSAEKTemplate), 0)
		if err != nil {
			t.Fatal(err)
		}
		return area
	}
	id := Identity{PooledKeys: true}
	first := New(id, []byte("pooled"))
	want := endorse(first)
	if !bytes.Equal(want, endorse(first)) || !bytes.Equal(want, endorse(New(id, []byte("pooled")))) {
		t.Error("one seed, two keys")
	}
	if bytes.Equal(want, endorse(New(id, []byte("other")))) {
		t.Error("two seeds, one key")
	}
	if bytes.Equal(want, endorse(New(Identity{}, []byte("pooled")))) {
		t.Error("the key is from the pool without PooledKeys")
	}
	state, err := first.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	keys.mu.Lock()
	for stream := range keys.of {
		if strings.Contains(string(state), hex.EncodeToString([]byte(stream))) {
			delete(keys.of, stream) // as if this were another process
		}
	}
	keys.mu.Unlock()
	for _, id := range []Identity{id, {}} {
		next, err := Restore(id, state)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(want, endorse(next)) {
			t.Error("the state has another key")
		}
	}
	known := []byte("SIM0 TPM number 1")
	if !bytes.Equal(endorse(New(id, known)), endorse(New(Identity{}, known))) {
		t.Error("the default TPM is another one")
	}
	if _, err := Restore(id, bytes.Replace(state, []byte(`"Primes": {`), []byte(`"Primes": { "00": ["AA==", "AA=="],`), 1)); err == nil {
		t.Error("a state with a short prime is taken")
	}
}
