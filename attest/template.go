package attest

import (
	"crypto"
	"errors"
	"fmt"
)

// A Template says what a key is to be. Its zero value is an RSA 2048 key
// without a use, which CreateKey refuses.
//
// AuthPolicy restricts nothing: the authorization value alone is enough to use
// the key, and the policy is another way, which this package never takes and
// which is not in the key's text. It is for a verifier that expects an area with
// it, as that of Windows's attestation keys.
type Template struct {
	Algorithm  Algorithm
	Usage      Usage
	Hash       crypto.Hash // of an Attest key's signatures: SHA-1, SHA-256, SHA-384 or SHA-512; if 0, SHA-256
	AuthPolicy []byte      // SHA-256 policy digest for the key's area, nil for none; see below
	Auth       []byte      // authorization value of at most 32 bytes; nil for the empty one. See [Key.WithAuth]
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
// userWithAuth and noDA: noDA because the authorization value is empty or the
// caller's random bytes, so that nothing is gained by locking the TPM after
// wrong ones, and because chips answer the first use of a key without it with
// TPM_RC_RETRY.
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
	if len(t.Auth) > crypto.SHA256.Size() {
		return nil, fmt.Errorf("authorization value has %d bytes, more than 32", len(t.Auth))
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
