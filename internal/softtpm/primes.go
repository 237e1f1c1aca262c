package softtpm

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"math/big"
	"sync"
)

// A stream is a deterministic source of bytes: HMAC-SHA256 in counter mode.
// The same key gives the same bytes in every process and version.
type stream struct {
	key []byte
	n   uint64
	buf []byte
}

// newStream returns the stream of a seed and the values it is for.
func newStream(seed []byte, parts ...[]byte) *stream {
	h := hmac.New(sha256.New, seed)
	for _, p := range parts {
		h.Write(be32(uint32(len(p))))
		h.Write(p)
	}
	return &stream{key: h.Sum(nil)}
}

func (s *stream) bytes(n int) []byte {
	for len(s.buf) < n {
		h := hmac.New(sha256.New, s.key)
		h.Write(binary.BigEndian.AppendUint64(nil, s.n))
		s.n++
		s.buf = h.Sum(s.buf)
	}
	b := s.buf[:n:n]
	s.buf = s.buf[n:]
	return b
}

// sievePrimes are the odd primes below 2^14.
var sievePrimes = sync.OnceValue(func() []uint64 {
	const limit = 1 << 14
	var composite [limit]bool
	var out []uint64
	for i := 3; i < limit; i += 2 {
		if composite[i] {
			continue
		}
		out = append(out, uint64(i))
		for j := i * i; j < limit; j += 2 * i {
			composite[j] = true
		}
	}
	return out
})

const publicExponent = 65537

// prime returns the least prime p of size bits, not below a candidate taken
// from s with its two top bits set, for which p-1 and 65537 have no common
// divisor.
func (s *stream) prime(bits int) *big.Int {
	for {
		b := s.bytes(bits / 8)
		b = append([]byte(nil), b...)
		b[0] |= 0xC0
		b[len(b)-1] |= 1
		if p := primeFrom(new(big.Int).SetBytes(b), bits); p != nil {
			return p
		}
	}
}

// primeFrom searches upwards from the odd number c, by a window at a time; nil
// if that leaves the size.
func primeFrom(c *big.Int, bits int) *big.Int {
	const window = 4096 // odd numbers
	var m big.Int
	for ; c.BitLen() == bits; c.Add(c, big.NewInt(2*window)) {
		var composite [window]bool
		for _, q := range sievePrimes() {
			r := m.Mod(c, new(big.Int).SetUint64(q)).Uint64()
			// The first i with c + 2i = 0 mod q.
			i := (q - r) % q
			if i%2 == 1 {
				i += q
			}
			for i /= 2; i < window; i += q {
				composite[i] = true
			}
		}
		for i, no := range composite {
			if no {
				continue
			}
			p := new(big.Int).Add(c, big.NewInt(int64(2*i)))
			if p.BitLen() != bits {
				return nil
			}
			if m.Mod(p, big.NewInt(publicExponent)).Cmp(big.NewInt(1)) != 0 && p.ProbablyPrime(0) {
				return p
			}
		}
	}
	return nil
}

// found keeps the first primes of the RSA primaries made in this process, by
// the key of their stream: a test that opens many TPMs searches once.
var found = struct {
	sync.Mutex
	m map[string][2]*big.Int
}{m: map[string][2]*big.Int{}}

const maxFound = 256

// primes returns the two primes of an RSA key of that many bits.
func (s *stream) primes(bits int) (p, q *big.Int) {
	key := string(s.key)
	if k, ok := knownPrimes()[key]; ok {
		return k[0], k[1]
	}
	found.Lock()
	k, ok := found.m[key]
	found.Unlock()
	if ok {
		return k[0], k[1]
	}
	p, q = s.search(bits)
	found.Lock()
	defer found.Unlock()
	if len(found.m) < maxFound {
		found.m[key] = [2]*big.Int{p, q}
	}
	return p, q
}

func (s *stream) search(bits int) (p, q *big.Int) {
	p = s.prime(bits / 2)
	for q = s.prime(bits / 2); q.Cmp(p) == 0; {
		q = s.prime(bits / 2)
	}
	return p, q
}
