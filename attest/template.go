package attest

import (
	"crypto"
	"errors"
	"fmt"
)

// A Template describes a key that [TPM.CreateKey] makes. A Usage is required; the
// zero value of each other field is a good choice.
type Template struct {
	Algorithm Algorithm // if zero, RSA2048
	Usage     Usage     // [Sign], [Decrypt], both, or [Attest]

	// Hash is the hash of an Attest key's signatures: SHA-1, SHA-256, SHA-384 or
	// SHA-512. If it is 0, it is SHA-256. It must be 0 for other keys.
	Hash crypto.Hash

	// AuthPolicy is a policy digest for the key's public area, of 32 bytes
	// (SHA-256), or nil for none. It restricts nothing: the authorization value
	// alone is enough to use the key, and this package never uses the policy.
	// It is for a verifier that expects a public area with it, such as that of
	// Windows's attestation keys. [Key.MarshalText] stores it only as part of
	// the public area.
	AuthPolicy []byte

	// Auth is the authorization value of the key, at most 32 bytes, or nil for
	// the empty value. See [Key.WithAuth].
	Auth []byte

	// Unloaded makes the key without loading it, even while [TPM.Keep] is in force;
	// its first use loads it. That saves a command for a key that is not used before
	// other keys have needed its slot. It makes no difference for an Attest key, which
	// signs its creation statement when it is made.
	Unloaded bool
}

// An Algorithm is the type and size of a key.
type Algorithm int

// The algorithms. P256 and P384 are ECC keys on these curves.
const (
	RSA2048 Algorithm = iota
	RSA3072
	P256
	P384
)

// A Usage is what a key may do. Sign and Decrypt may be or-ed.
//
// Keys of all usages have the attributes fixedTPM, fixedParent,
// sensitiveDataOrigin, userWithAuth and noDA. They have noDA because their
// authorization value is empty or random, so that locking the TPM after wrong
// values would gain nothing, and because chips answer the first use of a key
// without it with TPM_RC_RETRY.
type Usage int

// The usages.
const (
	Sign    Usage = 1 << iota // signs any digest, in a scheme chosen at each use
	Decrypt                   // decrypts in a scheme chosen at each use; ECC keys agree on a secret instead, see [Key.Exchanger]
	Attest                    // signs only what the TPM itself made (restricted): an attestation key
)

// area returns the TPMT_PUBLIC of t as a template.
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

// use sets in a what follows from t.Usage.
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
		return errors.New("no usage is given")
	default:
		return errors.New("usages cannot be combined: an attestation key does nothing else")
	}
	if t.Hash != 0 {
		return errors.New("only attestation keys have a hash of their own")
	}
	return nil
}

// srkTemplate returns the template of the P-256 storage key that tools make in the
// owner hierarchy for a key file with TPM_RH_OWNER as its parent: the TCG's SRK
// template with an empty unique field.
func srkTemplate() *area {
	return &area{
		typ: algECC, nameAlg: algSHA256,
		attributes: attrBound | attrUserWithAuth | attrNoDA | attrRestricted | attrDecrypt,
		sym:        symmetric{algAES, 128, algCFB},
		scheme:     algNull, curve: curveP256, kdf: algNull,
	}
}

// isSRK reports whether a is that of a key made from one of the TCG's SRK templates.
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
