// Package rsapool makes RSA-2048 keys fast, for tests: the search for primes is what
// an emulated device or a test server costs. A key has one prime that is written down
// here and one that this process found, so that 128 keys cost one search. No two keys
// have the same modulus, nor do keys of two processes; but many share a prime, so
// that anybody can factor them.
package rsapool

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha3"
	"math/big"
	"sync"
	"testing"
)

// Bits is the size of the keys.
const Bits = 2048

const exponent = 65537

// offsets say where the written-down primes are: prime i is the number that start
// returns, plus twice its offset. It is the first prime from there on.
var offsets = [...]uint16{
	431, 12, 45, 121, 136, 42, 240, 210, 586, 196, 422, 381, 351, 171, 504, 728,
	67, 418, 71, 547, 435, 743, 53, 85, 320, 205, 299, 333, 37, 84, 68, 94,
	71, 177, 762, 1460, 48, 801, 72, 585, 509, 201, 99, 395, 736, 48, 59, 587,
	13, 5, 66, 1289, 102, 949, 990, 104, 514, 6, 52, 121, 47, 493, 61, 135,
	740, 530, 250, 618, 244, 560, 115, 879, 508, 1200, 179, 557, 452, 106, 1502, 87,
	128, 1260, 109, 3, 566, 464, 242, 190, 1038, 156, 669, 204, 580, 1224, 209, 459,
	589, 21, 231, 580, 74, 863, 264, 264, 428, 311, 40, 49, 615, 458, 49, 385,
	262, 631, 71, 46, 219, 168, 581, 171, 93, 192, 96, 525, 9, 65, 11, 695,
}

// start returns the odd number of 1024 bits, with its two top bits set, from which on
// prime i was searched.
func start(i int) *big.Int {
	h := sha3.NewSHAKE256()
	h.Write(append([]byte("rsapool"), byte(i)))
	b := make([]byte, Bits/16)
	h.Read(b)
	b[0] |= 0xC0
	b[len(b)-1] |= 1
	return new(big.Int).SetBytes(b)
}

// A pool hands out the primes of keys. It never runs out.
type pool struct {
	mu  sync.Mutex
	n   int      // how many keys of the current own are taken
	own *big.Int // a prime that this process found
}

var shared pool

// take returns the primes of a key that the pool has not handed out before.
func (k *pool) take() (p, q *big.Int) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for k.own == nil || k.n == len(offsets) {
		k.own, _ = rand.Prime(rand.Reader, Bits/2) // rand.Reader does not fail
		k.n = 0
		if new(big.Int).Mod(k.own, big.NewInt(exponent)).Cmp(big.NewInt(1)) == 0 {
			k.own = nil // the exponent would have no inverse
		}
	}
	p = start(k.n)
	p.Add(p, big.NewInt(2*int64(offsets[k.n])))
	k.n++
	return p, k.own
}

// Primes returns the primes of a key.
func Primes() (p, q *big.Int) { return shared.take() }

// Key returns a key.
func Key() *rsa.PrivateKey {
	p, q := Primes()
	one := big.NewInt(1)
	phi := new(big.Int).Mul(new(big.Int).Sub(p, one), new(big.Int).Sub(q, one))
	k := &rsa.PrivateKey{
		PublicKey: rsa.PublicKey{N: new(big.Int).Mul(p, q), E: exponent},
		D:         new(big.Int).ModInverse(big.NewInt(exponent), phi), Primes: []*big.Int{p, q},
	}
	k.Precompute()
	return k
}

// ServerKey returns a key of a test server: in a test one of the pool, in any other
// program one that nobody else can know. The error is that of
// [rsa.GenerateKey].
func ServerKey() (*rsa.PrivateKey, error) {
	if testing.Testing() {
		return Key(), nil
	}
	return rsa.GenerateKey(rand.Reader, Bits)
}
