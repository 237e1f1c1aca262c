package judge

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/binary"
	"errors"

	"github.com/whiteglove/whiteglove/attest"
	"github.com/whiteglove/whiteglove/internal/wcce"
)

// secretSize is that of the secrets in challenges, in bytes.
const secretSize = 32

// Challenge returns a fresh secret, and what only the TPM with both keys opens
// to find it.
func Challenge(ek crypto.PublicKey, b *wcce.IDBinding) (secret []byte, tach *wcce.TACH, err error) {
	if !known(ek, b.PublicArea) {
		return Credential(ek, b.PublicArea)
	}
	secret, c, err := parameters(ek, b).Generate()
	if err != nil {
		return nil, nil, err
	}
	blob, ok1 := unsized(c.Credential)
	sealed, ok2 := unsized(c.Secret)
	if !ok1 || !ok2 {
		return nil, nil, errors.New("go-attestation: the credential has an unknown form")
	}
	return secret, &wcce.TACH{Blob: blob, EncryptedSecret: sealed}, nil
}

// nameSHA256 is TPM_ALG_SHA256 where a TPMT_PUBLIC has its nameAlg.
const nameSHA256 = 0x000b

// known reports whether go-attestation can make the credential: it takes the
// attestation key's hash for the endorsement key's, and AES-128.
func known(ek crypto.PublicKey, area []byte) bool {
	if len(area) < 4 || binary.BigEndian.Uint16(area[2:]) != nameSHA256 {
		return false
	}
	switch k := ek.(type) {
	case *rsa.PublicKey:
		return k.N.BitLen() == 2048
	case *ecdsa.PublicKey:
		return k.Curve == elliptic.P256()
	}
	return false
}

// Credential makes a challenge without go-attestation, for what that cannot do,
// such as P-384 endorsement keys, and for any attestation key.
func Credential(ek crypto.PublicKey, area []byte) (secret []byte, tach *wcce.TACH, err error) {
	ekArea, err := attest.EKPublicArea(ek)
	if err != nil {
		return nil, nil, err
	}
	name, err := attest.Name(area)
	if err != nil {
		return nil, nil, err
	}
	secret = make([]byte, secretSize)
	_, _ = rand.Read(secret) // never fails
	c, err := attest.MakeCredential(ekArea, name, secret)
	if err != nil {
		return nil, nil, err
	}
	return secret, &wcce.TACH{Blob: c.Blob, EncryptedSecret: c.EncryptedSecret}, nil
}

// unsized returns a TPM2B's buffer.
func unsized(b []byte) ([]byte, bool) {
	if len(b) < 2 || int(binary.BigEndian.Uint16(b)) != len(b)-2 {
		return nil, false
	}
	return b[2:], true
}
