package attest

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	"encoding/hex"
	"errors"
)

// Policies of endorsement keys (TCG EK Credential Profile, B.6): A is
// PolicySecret(TPM_RH_ENDORSEMENT), C is PolicyAuthorizeNV of the policy index, B is
// PolicyOR(A, C). Each function returns the digest for a name algorithm, or nil.

func policyA(hash uint16) []byte {
	switch hash {
	case algSHA256:
		return unhex("837197674484b3f81a90cc8d46a5d724fd52d76e06520b64f2a1da1b331469aa")
	case algSHA384:
		return unhex("8bbf2266537c171cb56e403c4dc1d4b64f432611dc386e6f532050c3278c930e143e8bb1133824ccb431053871c6db53")
	case algSHA512:
		return unhex("1e3b76502c8a1425aa0b7b3fc646a1b0fae063b03b5368f9c4cddecaff0891dd682bac1a85d4d832b781ea451915de5fc5bf0dc4a1917cd42fa041e3f998e0ee")
	case algSM3:
		return unhex("c67f7d35f66f3bec13c89fe898921c651b0cb5a38a92690a62a43c0012e4fb8b")
	}
	return nil
}

func policyB(hash uint16) []byte {
	switch hash {
	case algSHA256:
		return unhex("ca3d0a99a2b93906f7a3342414efcfb3a385d44cd1fd459089d19b5071c0b7a0")
	case algSHA384:
		return unhex("b26e7d28d11a50bc53d882bcf5fd3a1a074148bb35d3b4e4cb1c0ad9bde419cacb47ba09699646150f9fc000f3f80e12")
	case algSHA512:
		return unhex("b8221ca69e8550a4914de3faa6a18c072cc01208073a928d5d66d59ef79e49a429c41a6b269571d57edb25fbdb1838425608b413cd616a5f6db5b6071af99bea")
	case algSM3:
		return unhex("167860a35f2c5c3567f9c927ac56c032f3b3a6462f8d037998e7a10f77fa454a")
	}
	return nil
}

func policyC(hash uint16) []byte {
	switch hash {
	case algSHA256:
		return unhex("3767e2edd43ff45a3a7e1eaefcef78643dca964632e7aad82c673a30d8633fde")
	case algSHA384:
		return unhex("d6032ce61f2fb3c240eb3cf6a33237ef2b6a16f4293c22b455e261cffd217ad5b4947c2d73e63005eed2dc2b3593d165")
	case algSHA512:
		return unhex("589ee1e146544716e8deafe6db247b01b81e9f9c7dd16b814aa159138749105fba5388dd1dea702f35240c184933121e2c61b8f50d3ef91393a49a38c3f73fc8")
	case algSM3:
		return unhex("2d4e81578c3531d9bd1cdd7d02ba298d5699a3e39fc3551bfeffcf132b49e11d")
	}
	return nil
}

func unhex(s string) []byte {
	b, _ := hex.DecodeString(s)
	return b
}

// An ekKind is one of the TCG's default endorsement keys (EK Credential
// Profile 2.4, 2.2.1.4 and B.3 to B.4).
type ekKind struct {
	template    func() *area
	handles     []uint32 // persistent handles at which systems keep it
	certificate uint32   // NV index of its certificate
	nonce       uint32   // NV index of its nonce, 0 if there is none
	templateNV  uint32   // NV index of its template
	rare        bool     // made only if the TPM has a certificate or a template for it
}

// ekKinds are the kinds in the order in which EKs tries them.
var ekKinds = []ekKind{
	{ekL1, []uint32{0x81010001}, 0x01C00002, 0x01C00003, 0x01C00004, false},
	{ekL2, []uint32{0x81010002, 0x8101000A}, 0x01C0000A, 0x01C0000B, 0x01C0000C, false},
	{ekH3, []uint32{0x81010016}, 0x01C00016, 0, 0x01C00017, false},
	{ekH1, []uint32{0x81010001}, 0x01C00012, 0, 0x01C00013, true},
	{ekH2, nil, 0x01C00014, 0, 0x01C00015, true},
	{ekH4, []uint32{0x81010018}, 0x01C00018, 0, 0x01C00019, true},
	{ekH5, nil, 0x01C0001A, 0, 0x01C0001B, true},
	{ekH6, []uint32{0x8101001C, 0x81010001}, 0x01C0001C, 0, 0x01C0001D, true},
	{ekH7, []uint32{0x8101001E, 0x81010001}, 0x01C0001E, 0, 0x01C0001F, true},
}

// The default templates of the EK Credential Profile. Each function returns a new
// one, which the caller may change.
const (
	ekLow  = attrBound | attrAdminWithPolicy | attrRestricted | attrDecrypt
	ekHigh = ekLow | attrUserWithAuth
)

func ekL1() *area {
	a := ekRSA(ekLow, algSHA256, 128, 2048)
	a.policy, a.n = policyA(algSHA256), make([]byte, 256)
	return a
}

func ekL2() *area {
	a := ekECC(ekLow, algSHA256, algAES, 128, curveP256)
	a.policy, a.x, a.y = policyA(algSHA256), make([]byte, 32), make([]byte, 32)
	return a
}

func ekH1() *area { return ekRSA(ekHigh, algSHA256, 128, 2048) }
func ekH2() *area { return ekECC(ekHigh, algSHA256, algAES, 128, curveP256) }
func ekH3() *area { return ekECC(ekHigh, algSHA384, algAES, 256, curveP384) }
func ekH4() *area { return ekECC(ekHigh, algSHA512, algAES, 256, curveP521) }
func ekH5() *area { return ekECC(ekHigh, algSM3, algSM4, 128, curveSM2) } // neither is in Go
func ekH6() *area { return ekRSA(ekHigh, algSHA384, 256, 3072) }
func ekH7() *area { return ekRSA(ekHigh, algSHA384, 256, 4096) }

func ekRSA(attributes uint32, hash, symBits, bits uint16) *area {
	return &area{
		typ: algRSA, nameAlg: hash, attributes: attributes, policy: policyB(hash),
		sym: symmetric{algAES, symBits, algCFB}, scheme: algNull, bits: bits,
	}
}

func ekECC(attributes uint32, hash, cipher, symBits, curve uint16) *area {
	return &area{
		typ: algECC, nameAlg: hash, attributes: attributes, policy: policyB(hash),
		sym: symmetric{cipher, symBits, algCFB}, scheme: algNull, curve: curve, kdf: algNull,
	}
}

// isEK reports whether a can be that of an endorsement key, made from a default
// template or not: a storage key that cannot leave its TPM and that has a policy
// known here.
func (a *area) isEK() bool {
	return a.has(attrBound|attrAdminWithPolicy) && a.isParent() && a.policyKind() != 0
}

// policyKind returns 'A' or 'B' for the policies of the default templates,
// else 0.
func (a *area) policyKind() byte {
	switch {
	case len(a.policy) == 0:
	case string(a.policy) == string(policyA(a.nameAlg)):
		return 'A'
	case string(a.policy) == string(policyB(a.nameAlg)):
		return 'B'
	}
	return 0
}

// kindOf returns the first of ekKinds for keys of the type and size of pub, or nil.
func kindOf(pub crypto.PublicKey) *ekKind {
	bits, curve := 0, uint16(0)
	switch k := pub.(type) {
	case *rsa.PublicKey:
		bits = k.N.BitLen()
	case *ecdsa.PublicKey:
		curve = curveID(k.Curve)
	}
	for i := range ekKinds {
		if a := ekKinds[i].template(); int(a.bits) == bits && a.curve == curve {
			return &ekKinds[i]
		}
	}
	return nil
}

// EKPublicArea returns the public area (TPMT_PUBLIC) of an endorsement key that was
// made from the TCG's default template: L-1 for RSA 2048, L-2 for P-256, H-3 for
// P-384, H-4 for P-521, H-6 for RSA 3072, H-7 for RSA 4096. [MakeCredential] needs
// it where only the public key is known, as from a certificate.
//
// ek is an *[rsa.PublicKey] of one of these sizes, with exponent 65537, or an
// *[ecdsa.PublicKey] on one of these curves. The error, for any other key, is an
// [*Error].
func EKPublicArea(ek crypto.PublicKey) ([]byte, error) {
	a, _, err := defaultArea(ek)
	if err != nil {
		return nil, &Error{Op: "EKPublicArea", Err: err}
	}
	return a.marshal(), nil
}

// defaultArea returns the public area of ek as made from the default template, and
// its kind.
func defaultArea(ek crypto.PublicKey) (*area, *ekKind, error) {
	if err := checkKey(ek); err != nil {
		return nil, nil, err
	}
	kind := kindOf(ek)
	if kind == nil {
		return nil, nil, errors.New("no default template for this kind of key")
	}
	a := kind.template()
	switch k := ek.(type) {
	case *rsa.PublicKey:
		a.n = k.N.Bytes()
	case *ecdsa.PublicKey:
		point, err := k.Bytes()
		if err != nil {
			return nil, nil, err
		}
		size := len(point) / 2
		a.x, a.y = point[1:1+size], point[1+size:]
	}
	return a, kind, nil
}

// sameTemplate reports whether the public area of a key is that of the template,
// except for the unique part.
func sameTemplate(key []byte, template area) bool {
	a, err := parseArea(key)
	if err != nil {
		return false
	}
	a.n, a.x, a.y = template.n, template.x, template.y
	for _, p := range []*area{&a, &template} {
		if p.exponent == 65537 {
			p.exponent = 0
		}
	}
	return bytes.Equal(a.marshal(), template.marshal())
}

// setNonce sets the unique part of a template to a nonce, filled up with zeros. It
// reports false if the nonce is longer than the key.
func (a *area) setNonce(nonce []byte) bool {
	if a.typ == algRSA {
		size := int(a.bits) / 8
		if len(nonce) > size {
			return false
		}
		a.n = make([]byte, size)
		copy(a.n, nonce)
		return true
	}
	_, size := curveOf(a.curve)
	if len(nonce) > size {
		return false
	}
	a.x, a.y = make([]byte, size), make([]byte, size)
	copy(a.x, nonce)
	return true
}
