package attest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	"encoding/hex"
	"errors"
	"fmt"
)

// A Template says what a key is to be. Its zero value is an RSA 2048 key
// without a use, which CreateKey refuses.
type Template struct {
	Algorithm  Algorithm
	Usage      Usage
	Hash       crypto.Hash // of an Attest key's signatures: SHA-1, SHA-256, SHA-384 or SHA-512; if 0, SHA-256
	AuthPolicy []byte      // SHA-256 policy digest, besides the empty authorization value; nil for none
}

// An Algorithm is a kind of key.
type Algorithm int

// The algorithms.
const (
	RSA2048 Algorithm = iota
	RSA3072
	P256
	P384
)

// A Usage is what a key may do. Sign and Decrypt may be or-ed.
//
// Keys of all usages have fixedTPM, fixedParent, sensitiveDataOrigin,
// userWithAuth and noDA: noDA because the authorization value is empty, so that
// nothing is gained by locking the TPM after wrong ones, and because chips
// answer the first use of a key without it with TPM_RC_RETRY.
type Usage int

// The usages.
const (
	Sign    Usage = 1 << iota // sign digests, in a scheme chosen at each use
	Decrypt                   // decrypt, with RSA only, in a scheme chosen at each use
	Attest                    // sign what the TPM itself made, and nothing else
)

// area returns the TPMT_PUBLIC template of t.
func (t *Template) area() (*area, error) {
	a := &area{
		nameAlg:    algSHA256,
		attributes: attrBound | attrUserWithAuth | attrNoDA,
		policy:     t.AuthPolicy,
		sym:        symmetric{alg: algNull},
		scheme:     algNull,
		kdf:        algNull,
	}
	switch t.Algorithm {
	case RSA2048, RSA3072:
		a.typ, a.bits = algRSA, 2048
		if t.Algorithm == RSA3072 {
			a.bits = 3072
		}
	case P256:
		a.typ, a.curve = algECC, curveP256
	case P384:
		a.typ, a.curve = algECC, curveP384
	default:
		return nil, fmt.Errorf("unknown algorithm %d", t.Algorithm)
	}
	if n := len(t.AuthPolicy); n != 0 && n != crypto.SHA256.Size() {
		return nil, fmt.Errorf("policy digest has %d bytes, not 32", n)
	}
	return a, t.use(a)
}

// use sets what follows from t.Usage.
func (t *Template) use(a *area) error {
	switch t.Usage {
	case Attest:
		a.attributes |= attrRestricted | attrSign
		a.scheme, a.hash = algRSASSA, algSHA256
		if a.typ == algECC {
			a.scheme = algECDSA
		}
		if t.Hash != 0 {
			a.hash = algOf(t.Hash)
		}
		if a.hash == 0 {
			return fmt.Errorf("unsupported hash %v", t.Hash)
		}
		return nil
	case Sign:
		a.attributes |= attrSign
	case Decrypt:
		a.attributes |= attrDecrypt
	case Sign | Decrypt:
		a.attributes |= attrSign | attrDecrypt
	case 0:
		return errors.New("key without a usage")
	default:
		return errors.New("usages that do not go together: a key that attests does nothing else")
	}
	if t.Usage&Decrypt != 0 && a.typ != algRSA {
		return errors.New("only RSA keys decrypt")
	}
	if t.Hash != 0 {
		return errors.New("only keys that attest have a hash of their own")
	}
	return nil
}

// srkTemplate returns the template of the P-256 storage key that tools make
// under the owner hierarchy when a key file names TPM_RH_OWNER as its parent:
// the TCG's SRK template with an empty unique field.
func srkTemplate() *area {
	return &area{
		typ: algECC, nameAlg: algSHA256,
		attributes: attrBound | attrUserWithAuth | attrNoDA | attrRestricted | attrDecrypt,
		sym:        symmetric{algAES, 128, algCFB},
		scheme:     algNull, curve: curveP256, kdf: algNull,
	}
}

// isSRK reports whether a is what the TCG's SRK templates make.
func (a *area) isSRK() bool {
	if a.attributes&^attrNoDA != attrBound|attrUserWithAuth|attrRestricted|attrDecrypt ||
		a.nameAlg != algSHA256 || a.sym != (symmetric{algAES, 128, algCFB}) || a.scheme != algNull {
		return false
	}
	if a.typ == algRSA && a.bits != 2048 || a.typ == algECC && a.curve != curveP256 {
		return false
	}
	_, err := a.key()
	return err == nil
}

// isParent reports whether a is an asymmetric storage key.
func (a *area) isParent() bool {
	return a.has(attrRestricted|attrDecrypt) && a.attributes&attrSign == 0 && a.sym.alg == algAES
}

// Policies of endorsement keys (TCG EK Credential Profile, B.6), by name
// algorithm: A is PolicySecret(TPM_RH_ENDORSEMENT), C is PolicyAuthorizeNV of
// the policy index, B is PolicyOR(A, C).
var (
	policyA = map[uint16][]byte{
		algSHA256: unhex("837197674484b3f81a90cc8d46a5d724fd52d76e06520b64f2a1da1b331469aa"),
		algSHA384: unhex("8bbf2266537c171cb56e403c4dc1d4b64f432611dc386e6f532050c3278c930e143e8bb1133824ccb431053871c6db53"),
	}
	policyB = map[uint16][]byte{
		algSHA256: unhex("ca3d0a99a2b93906f7a3342414efcfb3a385d44cd1fd459089d19b5071c0b7a0"),
		algSHA384: unhex("b26e7d28d11a50bc53d882bcf5fd3a1a074148bb35d3b4e4cb1c0ad9bde419cacb47ba09699646150f9fc000f3f80e12"),
	}
	policyC = map[uint16][]byte{
		algSHA256: unhex("3767e2edd43ff45a3a7e1eaefcef78643dca964632e7aad82c673a30d8633fde"),
		algSHA384: unhex("d6032ce61f2fb3c240eb3cf6a33237ef2b6a16f4293c22b455e261cffd217ad5b4947c2d73e63005eed2dc2b3593d165"),
	}
)

func unhex(s string) []byte {
	b, _ := hex.DecodeString(s)
	return b
}

const ekAttributes = attrBound | attrAdminWithPolicy | attrRestricted | attrDecrypt

// The default templates of the EK Credential Profile. Each call makes a new
// one, so none is ever changed for another TPM.
func ekL1() *area {
	return &area{
		typ: algRSA, nameAlg: algSHA256, attributes: ekAttributes, policy: policyA[algSHA256],
		sym: symmetric{algAES, 128, algCFB}, scheme: algNull, bits: 2048, n: make([]byte, 256),
	}
}

func ekL2() *area {
	return &area{
		typ: algECC, nameAlg: algSHA256, attributes: ekAttributes, policy: policyA[algSHA256],
		sym: symmetric{algAES, 128, algCFB}, scheme: algNull, curve: curveP256, kdf: algNull,
		x: make([]byte, 32), y: make([]byte, 32),
	}
}

func ekH3() *area {
	return &area{
		typ: algECC, nameAlg: algSHA384, attributes: ekAttributes | attrUserWithAuth, policy: policyB[algSHA384],
		sym: symmetric{algAES, 256, algCFB}, scheme: algNull, curve: curveP384, kdf: algNull,
	}
}

// Area returns the TPMT_PUBLIC that an endorsement key has if it was made from
// the TCG's default template: L-1 for RSA 2048, L-2 for P-256, H-3 for P-384.
// It is what MakeCredential needs where only the key is known, as from a
// certificate.
func Area(ek crypto.PublicKey) ([]byte, error) {
	if err := checkKey(ek); err != nil {
		return nil, &Error{Op: "Area", Err: err}
	}
	switch k := ek.(type) {
	case *rsa.PublicKey:
		if k.N.BitLen() == 2048 {
			a := ekL1()
			a.n = k.N.Bytes()
			return a.marshal(), nil
		}
	case *ecdsa.PublicKey:
		a := ekL2()
		if curveID(k.Curve) == curveP384 {
			a = ekH3()
		}
		point, err := k.Bytes()
		if err == nil && curveID(k.Curve) == a.curve {
			size := len(point) / 2
			a.x, a.y = point[1:1+size], point[1+size:]
			return a.marshal(), nil
		}
	}
	return nil, &Error{Op: "Area", Err: errors.New("no default template for this kind of key")}
}
