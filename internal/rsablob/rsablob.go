// Package rsablob reads and writes an RSA public key as a BCRYPT_RSAKEY_BLOB: "RSA1", then
// the size of the modulus in bits and four sizes in bytes (exponent, modulus and two
// primes), each with 32 bits in little-endian, then exponent and modulus in big-endian
// ([MS-ADTS] section 2.2.20.5.1).
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

const (
	blobHeader  = 24    // size of the part before the exponent, in bytes
	maxExponent = 4     // largest size of an exponent, in bytes
	maxModulus  = 16384 // largest size of a modulus, in bits
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

// Parse reads the blob of a key. It fails if the blob has a private key or sizes that do not
// match its contents, if the modulus is even or has more than 16384 bits, or if the exponent
// is even, is 1 or has more than 31 bits.
func Parse(b []byte) (*rsa.PublicKey, error) {
	if len(b) < blobHeader || string(b[:4]) != "RSA1" {
		return nil, errors.New("key blob: it is not that of an RSA public key")
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
		return nil, fmt.Errorf("key blob: a modulus of %d bits with sizes of %d and %d bytes is not valid", bits, exponent, modulus)
	}
	rest := b[blobHeader:]
	if uint64(len(rest)) != uint64(exponent)+uint64(modulus) {
		return nil, fmt.Errorf("key blob: it has %d bytes after the sizes, not %d", len(rest), uint64(exponent)+uint64(modulus))
	}
	e := new(big.Int).SetBytes(rest[:exponent])
	key := &rsa.PublicKey{N: new(big.Int).SetBytes(rest[exponent:])}
	if key.N.BitLen() != int(bits) || key.N.Bit(0) == 0 {
		return nil, errors.New("key blob: the modulus has another size or is even")
	}
	if e.BitLen() > 31 || e.Bit(0) == 0 || e.BitLen() < 2 || rest[0] == 0 {
		return nil, errors.New("key blob: the exponent is not valid")
	}
	key.E = int(e.Int64())
	return key, nil
}
