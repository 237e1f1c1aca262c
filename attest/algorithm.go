package attest

import (
	"crypto"
	_ "crypto/sha1" // names and signatures of older keys
	"crypto/sha256"
	_ "crypto/sha512"
)

// TPM_ALG_ID values (TCG Algorithm Registry).
const (
	algRSA    = 0x0001
	algSHA1   = 0x0004
	algAES    = 0x0006
	algSHA256 = 0x000B
	algSHA384 = 0x000C
	algSHA512 = 0x000D
	algNull   = 0x0010
	algSM3    = 0x0012
	algSM4    = 0x0013
	algRSASSA = 0x0014
	algRSAES  = 0x0015
	algRSAPSS = 0x0016
	algOAEP   = 0x0017
	algECDSA  = 0x0018
	algECDH   = 0x0019
	algECDAA  = 0x001A
	algSM2    = 0x001B
	algSchn   = 0x001C
	algECMQV  = 0x001D
	algECC    = 0x0023
	algCFB    = 0x0043
)

// TPM_ECC_CURVE values.
const (
	curveP256 = 0x0003
	curveP384 = 0x0004
	curveP521 = 0x0005
	curveSM2  = 0x0020
)

// TPMA_OBJECT bits (TCG Part 2, 8.3).
const (
	attrFixedTPM        = 1 << 1
	attrFixedParent     = 1 << 4
	attrDataOrigin      = 1 << 5
	attrUserWithAuth    = 1 << 6
	attrAdminWithPolicy = 1 << 7
	attrNoDA            = 1 << 10
	attrRestricted      = 1 << 16
	attrDecrypt         = 1 << 17
	attrSign            = 1 << 18

	attrBound = attrFixedTPM | attrFixedParent | attrDataOrigin // cannot leave its TPM
)

// hashOf returns the hash of a TPM_ALG_ID, or 0.
func hashOf(alg uint16) crypto.Hash {
	switch alg {
	case algSHA1:
		return crypto.SHA1
	case algSHA256:
		return crypto.SHA256
	case algSHA384:
		return crypto.SHA384
	case algSHA512:
		return crypto.SHA512
	}
	return 0
}

// algOf returns the TPM_ALG_ID of a hash, or 0.
func algOf(h crypto.Hash) uint16 {
	switch h {
	case crypto.SHA1:
		return algSHA1
	case crypto.SHA256:
		return algSHA256
	case crypto.SHA384:
		return algSHA384
	case crypto.SHA512:
		return algSHA512
	}
	return 0
}

// digest returns the hash of the parts, one after the other.
func digest(h crypto.Hash, parts ...[]byte) []byte {
	d := h.New()
	for _, p := range parts {
		d.Write(p)
	}
	return d.Sum(nil)
}

// appendDigest appends the hash of b, for SHA-256 without an allocation.
func appendDigest(out []byte, h crypto.Hash, b []byte) []byte {
	if h == crypto.SHA256 {
		sum := sha256.Sum256(b)
		return append(out, sum[:]...)
	}
	return append(out, digest(h, b)...)
}
