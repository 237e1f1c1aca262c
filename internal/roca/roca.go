// Package roca recognizes RSA keys with the fingerprint of CVE-2017-15361 (ROCA), such
// as the firmware of some TPMs created.
package roca

import (
	"crypto"
	"crypto/rsa"
	"math/big"
	"slices"
	"sync"
)

// primes are the primes modulo which the keys of the library of CVE-2017-15361 are
// powers of 65537 (Nemec and others, "The Return of Coppersmith's Attack", 2017).
var primes = [...]uint64{11, 13, 17, 19, 37, 53, 61, 71, 73, 79, 97, 103, 107, 109, 127, 151, 157}

// powers returns, for each of these primes, the set of powers of 65537.
var powers = sync.OnceValue(func() []map[uint64]bool {
	all := make([]map[uint64]bool, len(primes))
	for i, p := range primes {
		all[i] = make(map[uint64]bool)
		for x := uint64(1); !all[i][x]; x = x * 65537 % p {
			all[i][x] = true
		}
	}
	return all
})

// Primes returns the primes of the fingerprint: a weak modulus is a power of 65537
// modulo each.
func Primes() []uint64 { return slices.Clone(primes[:]) }

// Weak reports whether key is an *[rsa.PublicKey] with the fingerprint, so that
// anyone can compute its private key. About four in 10^9 other RSA keys have the
// fingerprint, too. Keys of other types are not weak.
func Weak(key crypto.PublicKey) bool {
	k, ok := key.(*rsa.PublicKey)
	if !ok || k == nil || k.N == nil {
		return false
	}
	found := powers()
	var prime, rest big.Int
	for i, p := range primes {
		if !found[i][rest.Mod(k.N, prime.SetUint64(p)).Uint64()] {
			return false
		}
	}
	return true
}
