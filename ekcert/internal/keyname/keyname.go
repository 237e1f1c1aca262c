// Package keyname has the names of endorsement keys at the makers' services. Its errors
// say that a key has no name there.
package keyname

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"net/url"
)

// Intel returns the name of a key at Intel's service: the SHA-256 of the modulus and the
// exponent 01 00 01 (RSA), or of both coordinates (ECC), in base64url with padding. The
// padding is percent-encoded, because the service refuses a bare "=". The error says that
// ek is an RSA key with another exponent than 65537, or of another type.
func Intel(ek crypto.PublicKey) (string, error) {
	var in []byte
	switch k := ek.(type) {
	case *rsa.PublicKey:
		if k.E != 65537 {
			return "", fmt.Errorf("the service of Intel has no name for an RSA key with the exponent %d", k.E)
		}
		in = append(modulus(k), 0x01, 0x00, 0x01)
	case *ecdsa.PublicKey:
		point, err := coordinates(k)
		if err != nil {
			return "", err
		}
		in = point
	default:
		return "", noName(ek)
	}
	sum := sha256.Sum256(in)
	return url.QueryEscape(base64.URLEncoding.EncodeToString(sum[:])), nil
}

// AMD returns the name of a key at AMD's service: the first 16 bytes of a SHA-256, in
// lower-case hexadecimal. It is over 00 00 22 22, the exponent in 4 bytes and the modulus
// (RSA), or over 00 00 44 44 and both coordinates (ECC). The error says that ek is of
// another type.
func AMD(ek crypto.PublicKey) (string, error) {
	var in []byte
	switch k := ek.(type) {
	case *rsa.PublicKey:
		in = binary.BigEndian.AppendUint32([]byte{0x00, 0x00, 0x22, 0x22}, uint32(k.E))
		in = append(in, modulus(k)...)
	case *ecdsa.PublicKey:
		point, err := coordinates(k)
		if err != nil {
			return "", err
		}
		in = append([]byte{0x00, 0x00, 0x44, 0x44}, point...)
	default:
		return "", noName(ek)
	}
	sum := sha256.Sum256(in)
	return hex.EncodeToString(sum[:16]), nil
}

// noName returns the error for a type of key that has no name.
func noName(ek crypto.PublicKey) error {
	return fmt.Errorf("the service has no name for a key of type %T", ek)
}

// modulus returns the modulus in big-endian.
func modulus(k *rsa.PublicKey) []byte { return k.N.FillBytes(make([]byte, k.Size())) }

// coordinates returns X and Y in big-endian, each in the width of the curve.
func coordinates(k *ecdsa.PublicKey) ([]byte, error) {
	point, err := k.Bytes()
	if err != nil {
		return nil, err
	}
	return point[1:], nil // without 04, which marks an uncompressed point
}
