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
	"github.com/whiteglove/whiteglove/attest/attestga"
	"github.com/whiteglove/whiteglove/internal/wcce"
)

// secretSize is the size of the secrets in challenges that Credential makes, in
// bytes.
const secretSize = 32

// Challenge returns a fresh secret and a challenge that contains it in encrypted
// form. Only the TPM that has the endorsement key ek and the attestation key of b
// can decrypt the challenge (TPM 2.0 Library, Part 3, TPM2_ActivateCredential).
// The caller checks b with [Check] first. Challenge fails if a key is malformed or of
// an unsupported kind.
func Challenge(ek crypto.PublicKey, b *wcce.IDBinding) (secret []byte, tach *wcce.TACH, err error) {
	if !known(ek, b.PublicArea) {
		return Credential(ek, b.PublicArea)
	}
	p := attestga.ToActivation(ek, statement(b))
	secret, c, err := p.Generate()
	if err != nil {
		return nil, nil, err
	}
	blob, ok1 := unsized(c.Credential)
	sealed, ok2 := unsized(c.Secret)
	if !ok1 || !ok2 {
		return nil, nil, errors.New("go-attestation: the credential is malformed")
	}
	return secret, &wcce.TACH{Blob: blob, EncryptedSecret: sealed}, nil
}

// nameSHA256 is the value TPM_ALG_SHA256 of the nameAlg field of a TPMT_PUBLIC.
const nameSHA256 = 0x000b

// known reports whether go-attestation can make the credential. It uses the name
// algorithm of the attestation key as that of the endorsement key, and AES-128.
// That is right only if the endorsement key has SHA-256 and AES-128, too.
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

// Credential is like [Challenge] but does not use go-attestation, so it supports
// more endorsement keys, such as P-384. area is the public area of any attestation
// key, a TPMT_PUBLIC. The secret has 32 bytes.
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

// unsized returns the buffer of a TPM2B without its size. It returns false if the
// size is wrong.
func unsized(b []byte) ([]byte, bool) {
	if len(b) < 2 || int(binary.BigEndian.Uint16(b)) != len(b)-2 {
		return nil, false
	}
	return b[2:], true
}
