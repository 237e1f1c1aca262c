package softtpm

import (
	"encoding/hex"
	"math/big"
	"sync"
)

// The search for primes is what an emulated device costs. A pool puts RSA-2048
// keys together from primes that were found before: each key has one prime that
// is written down here and one that this process found, so that 128 keys cost
// one search. No two keys of a pool have the same modulus, nor do keys of two
// processes; but many share a prime, so that anybody can factor them.

// pooledBits is the size of the RSA keys that a pool has.
const pooledBits = 2048

// pooledOffsets say where the written-down primes are: prime i is the number
// that pooledStart returns, plus twice its offset. It is the first prime from
// there on.
var pooledOffsets = [...]uint16{
	94, 24, 637, 41, 92, 139, 38, 299, 201, 548, 159, 383, 28, 234, 509, 254,
	878, 352, 118, 498, 291, 154, 814, 350, 1047, 417, 178, 203, 52, 163, 341, 885,
	318, 778, 292, 399, 99, 260, 149, 188, 176, 12, 469, 398, 36, 369, 172, 228,
	560, 1018, 629, 919, 66, 136, 397, 67, 19, 310, 815, 903, 185, 630, 580, 257,
	848, 633, 125, 16, 710, 905, 52, 252, 1904, 118, 976, 200, 319, 115, 354, 624,
	990, 467, 112, 19, 536, 185, 10, 191, 473, 277, 3, 75, 134, 90, 357, 557,
	354, 3, 302, 99, 316, 347, 492, 489, 234, 84, 238, 428, 429, 222, 515, 258,
	228, 313, 29, 21, 366, 402, 813, 590, 313, 123, 57, 156, 328, 192, 132, 125,
}

// pooledStart returns the odd number of 1024 bits, with its two top bits set,
// from which on prime i was searched.
func pooledStart(i int) *big.Int {
	b := newStream([]byte("softtpm pool"), be32(uint32(i))).bytes(pooledBits / 16)
	b[0] |= 0xC0
	b[len(b)-1] |= 1
	return new(big.Int).SetBytes(b)
}

// A pool hands out the primes of RSA-2048 keys. It never runs out, and may be
// used concurrently.
type pool struct {
	mu  sync.Mutex
	n   int                    // how many keys of the current own are taken
	own *big.Int               // a prime that this process found
	of  map[string][2]*big.Int // those of primaries, by the key of their stream
}

// maxPooled bounds the primaries that a pool remembers.
const maxPooled = 1 << 16

// keys is the pool of this process.
var keys = pool{of: map[string][2]*big.Int{}}

// take returns the primes of a key that the pool has not handed out before.
func (k *pool) take() (p, q *big.Int) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.next()
}

// primary returns the primes of the primary with a stream, the same whenever it
// is called with that stream; nil if the pool remembers too many.
func (k *pool) primary(stream string) (p, q *big.Int) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if pq, ok := k.of[stream]; ok {
		return pq[0], pq[1]
	}
	if len(k.of) >= maxPooled {
		return nil, nil
	}
	p, q = k.next()
	k.of[stream] = [2]*big.Int{p, q}
	return p, q
}

// next returns the primes of the next key. The caller locks.
func (k *pool) next() (p, q *big.Int) {
	for {
		if k.own == nil || k.n == len(pooledOffsets) {
			k.own, k.n = newStream(randomBytes(32)).prime(pooledBits/2), 0
		}
		p = pooledStart(k.n)
		p.Add(p, big.NewInt(2*int64(pooledOffsets[k.n])))
		k.n++
		if p.Cmp(k.own) != 0 {
			return p, k.own
		}
	}
}

// primes returns the primes of an RSA key to be made, or nil if crypto/rsa is
// to make the key. src is the stream of a primary key, nil for other keys.
func (t *TPM) primes(bits int, hierarchy uint32, src source) (p, q *big.Int) {
	pooled := t.id.PooledKeys && bits == pooledBits
	if src == nil {
		if pooled {
			return keys.take()
		}
		return nil, nil
	}
	name := hex.EncodeToString(src.key)
	if saved, ok := t.st.Primes[name]; ok {
		return new(big.Int).SetBytes(saved[0]), new(big.Int).SetBytes(saved[1])
	}
	if _, known := knownPrimes()[string(src.key)]; known || !pooled {
		return src.primes(bits)
	}
	if p, q = keys.primary(string(src.key)); p == nil {
		return src.primes(bits)
	}
	if (hierarchy == rhOwner || hierarchy == rhEndorsement) && len(t.st.Primes) < maxFound {
		if t.st.Primes == nil {
			t.st.Primes = map[string][2][]byte{}
		}
		t.st.Primes[name] = [2][]byte{p.Bytes(), q.Bytes()}
		t.dirty = true
	}
	return p, q
}
