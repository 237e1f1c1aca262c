package ekcert

import (
	"crypto"
	"crypto/rsa"
	"math/big"
	"sync"
)

// rocaPrimes are those modulo which the keys of the library of CVE-2017-15361
// are powers of 65537 (Nemec and others, "The Return of Coppersmith's Attack",
// 2017).
var rocaPrimes = [...]uint64{11, 13, 17, 19, 37, 53, 61, 71, 73, 79, 97, 103, 107, 109, 127, 151, 157}

// rocaPowers has, for each of these primes, what is a power of 65537.
var rocaPowers = sync.OnceValue(func() []map[uint64]bool {
	all := make([]map[uint64]bool, len(rocaPrimes))
	for i, p := range rocaPrimes {
		all[i] = make(map[uint64]bool)
		for x := uint64(1); !all[i][x]; x = x * 65537 % p {
			all[i][x] = true
		}
	}
	return all
})

// WeakKey reports whether a TPM's key, an *[rsa.PublicKey] or of another kind, is
// one of which anybody can compute the private key: whether it has the
// fingerprint of CVE-2017-15361. Of other RSA keys about four in 10^9 have it too.
func WeakKey(key crypto.PublicKey) bool {
	k, ok := key.(*rsa.PublicKey)
	if !ok || k == nil || k.N == nil {
		return false
	}
	powers := rocaPowers()
	var prime, rest big.Int
	for i, p := range rocaPrimes {
		if !powers[i][rest.Mod(k.N, prime.SetUint64(p)).Uint64()] {
			return false
		}
	}
	return true
}
