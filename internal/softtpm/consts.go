package softtpm

import "crypto"

// Structure tags (part 2, 6.9).
const (
	stRspCommand   = 0x00C4
	stNoSessions   = 0x8001
	stSessions     = 0x8002
	stCertify      = 0x8017
	stQuote        = 0x8018
	stCreation     = 0x801A
	tkCreation     = 0x8021
	tkVerified     = 0x8022
	tkAuthSecret   = 0x8023
	tkHashCheck    = 0x8024
	generatedMagic = 0xFF544347
)

// Algorithms (part 2, 6.3).
const (
	algRSA    = 0x0001
	algSHA1   = 0x0004
	algHMAC   = 0x0005
	algAES    = 0x0006
	algMGF1   = 0x0007
	algSHA256 = 0x000B
	algSHA384 = 0x000C
	algSHA512 = 0x000D
	algNull   = 0x0010
	algRSASSA = 0x0014
	algRSAES  = 0x0015
	algRSAPSS = 0x0016
	algOAEP   = 0x0017
	algECDSA  = 0x0018
	algECDH   = 0x0019
	algKDF1A  = 0x0020
	algKDF1   = 0x0022
	algECC    = 0x0023
	algCFB    = 0x0043
	curveP256 = 0x0003
	curveP384 = 0x0004
)

// Permanent handles (part 2, 7.4).
const (
	rhOwner       = 0x40000001
	rhNull        = 0x40000007
	rsPassword    = 0x40000009
	rhLockout     = 0x4000000A
	rhEndorsement = 0x4000000B
	rhPlatform    = 0x4000000C
)

// Handle types: the top byte (part 2, 7.2).
const (
	htPCR        = 0x00
	htNV         = 0x01
	htHMAC       = 0x02
	htPolicy     = 0x03
	htPermanent  = 0x40
	htTransient  = 0x80
	htPersistent = 0x81
)

// Object attributes (part 2, 8.3).
const (
	attrFixedTPM            = 1 << 1
	attrSTClear             = 1 << 2
	attrFixedParent         = 1 << 4
	attrSensitiveDataOrigin = 1 << 5
	attrUserWithAuth        = 1 << 6
	attrAdminWithPolicy     = 1 << 7
	attrNoDA                = 1 << 10
	attrEncDuplication      = 1 << 11
	attrRestricted          = 1 << 16
	attrDecrypt             = 1 << 17
	attrSign                = 1 << 18
	attrX509Sign            = 1 << 19
	attrReserved            = ^uint32(attrFixedTPM | attrSTClear | attrFixedParent | attrSensitiveDataOrigin | attrUserWithAuth |
		attrAdminWithPolicy | attrNoDA | attrEncDuplication | attrRestricted | attrDecrypt | attrSign | attrX509Sign)
)

// Session attributes (part 2, 8.4).
const (
	sessContinue = 1 << 0
	sessAudExcl  = 1 << 1
	sessAudReset = 1 << 2
	sessReserved = 3 << 3
	sessDecrypt  = 1 << 5
	sessEncrypt  = 1 << 6
	sessAudit    = 1 << 7
)

// The size of this TPM.
const (
	objectSlots    = 3
	sessionSlots   = 3
	activeSessions = 64
	maxCommand     = 4096
	maxSymData     = 128
	maxBuffer      = 1024
	maxNVBuffer    = 1024
	maxNVIndex     = 2048
	maxNVTotal     = 64 << 10
	maxPersistent  = 24
	maxDigest      = 64
	maxNonce       = 64
	maxData        = maxDigest + 2
	maxRSABytes    = 384
	maxECCBytes    = 48
	pcrCount       = 24
)

// hashes are the algorithms of digests, names and sessions, in order.
var hashes = []struct {
	alg  uint16
	hash crypto.Hash
}{{algSHA1, crypto.SHA1}, {algSHA256, crypto.SHA256}, {algSHA384, crypto.SHA384}, {algSHA512, crypto.SHA512}}

// hashOf returns the hash of an algorithm, or 0.
func hashOf(alg uint16) crypto.Hash {
	for _, h := range hashes {
		if h.alg == alg {
			return h.hash
		}
	}
	return 0
}

// digestSize returns the size of a digest of alg, 0 for no hash.
func digestSize(alg uint16) int {
	if h := hashOf(alg); h != 0 {
		return h.Size()
	}
	return 0
}

// digest hashes the concatenation of parts. alg must be a hash.
func digest(alg uint16, parts ...[]byte) []byte {
	h := hashOf(alg).New()
	for _, p := range parts {
		h.Write(p)
	}
	return h.Sum(nil)
}
