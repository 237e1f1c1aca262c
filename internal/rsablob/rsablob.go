// Package rsablob reads and writes the BCRYPT_RSAKEY_BLOB of an RSA public key:
// "RSA1", then five lengths in little-endian, then exponent and modulus in
// big-endian ([MS-ADTS] 2.2.20.5.1).
//
// [MS-ADTS]: https://learn.microsoft.com/openspecs/windows_protocols/ms-adts/
package rsablob

import (
	"crypto/rsa"
	"encoding/binary"
	"errors"
	"fmt"
	"math/big"
)

// Sizes of a key blob's parts, in bytes, and the largest modulus, in bits.
const (
	blobHeader  = 24
	maxExponent = 4
	maxModulus  = 16384
)

// Marshal returns the blob of key.
func Marshal(key *rsa.PublicKey) []byte {
	exponent := big.NewInt(int64(key.E)).Bytes()
	modulus := key.N.Bytes()
	out := append(make([]byte, 0, blobHeader+len(exponent)+len(modulus)), "RSA1"...)
	for _, n := range []int{key.N.BitLen(), len(exponent), len(modulus), 0, 0} {
		out = binary.LittleEndian.AppendUint32(out, uint32(n))
	}
	return append(append(out, exponent...), modulus...)
}

// Parse reads the blob of a key. It refuses blobs that hold a private key, that
// have lengths which do not fit, or more bytes than they say.
func Parse(b []byte) (*rsa.PublicKey, error) {
	if len(b) < blobHeader || string(b[:4]) != "RSA1" {
		return nil, errors.New("key blob: not one of an RSA public key")
	}
	var n [5]uint32
	for i := range n {
		n[i] = binary.LittleEndian.Uint32(b[4+4*i:])
	}
	bits, exponent, modulus := n[0], n[1], n[2]
	if n[3] != 0 || n[4] != 0 {
		return nil, errors.New("key blob: it has primes")
	}
	if bits == 0 || bits > maxModulus || modulus != (bits+7)/8 || exponent == 0 || exponent > maxExponent {
		return nil, fmt.Errorf("key blob: %d bits, lengths %d and %d", bits, exponent, modulus)
	}
	rest := b[blobHeader:]
	if uint64(len(rest)) != uint64(exponent)+uint64(modulus) {
		return nil, fmt.Errorf("key blob: %d bytes after the header", len(rest))
	}
	e := new(big.Int).SetBytes(rest[:exponent])
	key := &rsa.PublicKey{N: new(big.Int).SetBytes(rest[exponent:])}
	if key.N.BitLen() != int(bits) || key.N.Bit(0) == 0 {
		return nil, errors.New("key blob: modulus does not fit")
	}
	if e.BitLen() > 31 || e.Bit(0) == 0 || e.BitLen() < 2 || rest[0] == 0 {
		return nil, errors.New("key blob: exponent does not fit")
	}
	key.E = int(e.Int64())
	return key, nil
}
