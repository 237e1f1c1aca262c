package rsapool

import (
	"math/big"
	"testing"
)

// The primes that are written down are prime, of the right size and usable, and the
// first ones are those that a search finds.
func TestWrittenDown(t *testing.T) {
	t.Parallel()
	for i, offset := range offsets {
		p := start(i)
		first := new(big.Int).Set(p)
		p.Add(p, big.NewInt(2*int64(offset)))
		if p.BitLen() != Bits/2 || p.Bit(Bits/2-2) != 1 || !p.ProbablyPrime(0) || new(big.Int).Mod(p, big.NewInt(exponent)).Int64() == 1 {
			t.Errorf("%d is no prime that can be used", i)
		}
		for i < 4 && !first.ProbablyPrime(0) {
			first.Add(first, big.NewInt(2))
		}
		if i < 4 && first.Cmp(p) != 0 {
			t.Errorf("%d is not the first prime from its start", i)
		}
	}
}

// No two keys have the same modulus, over the end of the primes that are written
// down, and each key is valid.
func TestKey(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for i := range len(offsets) + 20 {
		k := Key()
		if err := k.Validate(); err != nil {
			t.Fatalf("key %d: %v", i, err)
		}
		if k.N.BitLen() != Bits || seen[k.N.String()] {
			t.Fatalf("key %d has %d bits, or was there before", i, k.N.BitLen())
		}
		seen[k.N.String()] = true
	}
}

// In a test, keys of servers are those of the pool.
func TestServerKey(t *testing.T) {
	t.Parallel()
	k, err := ServerKey()
	if err != nil {
		t.Fatal(err)
	}
	for i, offset := range offsets {
		p := start(i)
		if p.Add(p, big.NewInt(2*int64(offset))); p.Cmp(k.Primes[0]) == 0 {
			return
		}
	}
	t.Error("no prime of the key is written down")
}
