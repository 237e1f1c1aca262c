package drstest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/sha256"
	"errors"
	"fmt"
	"math/big"

	"golang.org/x/crypto/cryptobyte"
)

// Signature schemes and hash algorithm of a TPMT_SIGNATURE (TCG Algorithm Registry).
const (
	algRSASSA = 0x0014
	algECDSA  = 0x0018
	algSHA256 = 0x000B
)

// certifyInfo has the fields of a TPMS_ATTEST of TPM2_Certify that are checked.
type certifyInfo struct {
	extraData []byte // qualifying data
	name      []byte // TPM name of the certified key
}

// readCertify reads a TPMS_ATTEST of TPM2_Certify (TCG TPM 2.0 Library Part 2,
// TPMS_ATTEST).
func readCertify(b []byte) (*certifyInfo, error) {
	s := cryptobyte.String(b)
	var (
		magic                 uint32
		kind                  uint16
		signer, extra, clocks cryptobyte.String
		name, qualified       cryptobyte.String
	)
	if !s.ReadUint32(&magic) || magic != tpmGenerated {
		return nil, errors.New("statement was not made by a TPM")
	}
	if !s.ReadUint16(&kind) || kind != attestByCert {
		return nil, fmt.Errorf("statement is of type 0x%04X", kind)
	}
	// Clock information has 17 bytes and the firmware version 8.
	if !s.ReadUint16LengthPrefixed(&signer) || !s.ReadUint16LengthPrefixed(&extra) || !s.ReadBytes((*[]byte)(&clocks), 17+8) ||
		!s.ReadUint16LengthPrefixed(&name) || !s.ReadUint16LengthPrefixed(&qualified) || !s.Empty() {
		return nil, errors.New("statement cannot be read")
	}
	return &certifyInfo{extraData: extra, name: name}, nil
}

// checkSignature checks a TPMT_SIGNATURE with SHA-256 (TCG TPM 2.0 Library Part 2,
// TPMT_SIGNATURE).
func checkSignature(key crypto.PublicKey, message, signature []byte) error {
	s := cryptobyte.String(signature)
	var scheme, hash uint16
	if !s.ReadUint16(&scheme) || !s.ReadUint16(&hash) || hash != algSHA256 {
		return fmt.Errorf("signature scheme 0x%04X with hash 0x%04X is not supported", scheme, hash)
	}
	digest := sha256.Sum256(message)
	var a, b cryptobyte.String
	switch k := key.(type) {
	case *rsa.PublicKey:
		if scheme != algRSASSA || !s.ReadUint16LengthPrefixed(&a) || !s.Empty() {
			return errors.New("signature is not of the attestation key's scheme")
		}
		return rsa.VerifyPKCS1v15(k, crypto.SHA256, digest[:], a)
	case *ecdsa.PublicKey:
		if scheme != algECDSA || !s.ReadUint16LengthPrefixed(&a) || !s.ReadUint16LengthPrefixed(&b) || !s.Empty() {
			return errors.New("signature is not of the attestation key's scheme")
		}
		if !ecdsa.Verify(k, digest[:], new(big.Int).SetBytes(a), new(big.Int).SetBytes(b)) {
			return errors.New("signature is wrong")
		}
		return nil
	}
	return fmt.Errorf("attestation key is a %T", key)
}
