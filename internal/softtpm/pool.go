package softtpm

import (
	"encoding/hex"
	"math/big"
	"sync"

	"github.com/whiteglove/whiteglove/internal/rsapool"
)

// A pool hands out the primes of RSA-2048 keys of [rsapool], and remembers those of
// primaries. It may be used concurrently.
type pool struct {
	mu sync.Mutex
	of map[string][2]*big.Int // the primes of primaries, by the key of their stream
}

// maxPooled bounds the primaries that a pool remembers.
const maxPooled = 1 << 16

// keys is the pool of this process.
var keys = pool{of: map[string][2]*big.Int{}}

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
	p, q = rsapool.Primes()
	k.of[stream] = [2]*big.Int{p, q}
	return p, q
}

// primes returns the primes of an RSA key to be made, or nil if crypto/rsa is
// to make the key. src is the stream of a primary key, nil for other keys.
func (t *TPM) primes(bits int, hierarchy uint32, src source) (p, q *big.Int) {
	pooled := t.id.PooledKeys && bits == rsapool.Bits
	if src == nil {
		if pooled {
			return rsapool.Primes()
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
