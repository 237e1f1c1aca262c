package attest

import (
	"crypto"
	"crypto/aes"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"errors"
)

// Labels for secrets that are encrypted to a storage key (TCG Part 1, 24.5 and
// 19.6.14).
const (
	labelIdentity = "IDENTITY"
	labelSecret   = "SECRET"
)

// storageKey reads the TPMT_PUBLIC of a storage key to which a secret can be
// encrypted.
func storageKey(b []byte) (*area, error) {
	a, err := parseArea(b)
	if err != nil {
		return nil, err
	}
	if err := canOpen(b); err != nil {
		return nil, err
	}
	if !a.isParent() || hashOf(a.nameAlg) == 0 || a.sym.mode != algCFB || a.sym.bits != 128 && a.sym.bits != 192 && a.sym.bits != 256 {
		return nil, errNoParent
	}
	return &a, nil
}

// canOpen returns an error if the key with public area b also signs. A TPM opens
// credentials only with a key that does nothing but decrypt.
func canOpen(b []byte) error {
	if a, err := parseArea(b); err == nil && a.has(attrDecrypt|attrSign) {
		return errors.New("endorsement key signs and decrypts, so a TPM does not open credentials with it: take another endorsement key")
	}
	return nil
}

// newSeed returns a random seed, as long as the digest of the key's name algorithm,
// and the seed encrypted to the key, as the contents of a TPM2B_ENCRYPTED_SECRET (TCG
// Part 1, B.10 and C.6).
func (a *area) newSeed(label string) (seed, encrypted []byte, err error) {
	if a.typ == algECC {
		return a.agree(label)
	}
	pub, err := a.rsaKey()
	if err != nil {
		return nil, nil, err
	}
	h := hashOf(a.nameAlg)
	seed = make([]byte, h.Size())
	if _, err := rand.Read(seed); err != nil {
		return nil, nil, err
	}
	encrypted, err = rsa.EncryptOAEP(h.New(), rand.Reader, pub, seed, append([]byte(label), 0))
	return seed, encrypted, err
}

// agree is newSeed for an ECC key: one-pass ECDH with an ephemeral key.
func (a *area) agree(label string) (seed, encrypted []byte, err error) {
	point, err := a.point()
	if err != nil {
		return nil, nil, err
	}
	peer, err := ecdhOf(a.curve).NewPublicKey(point)
	if err != nil {
		return nil, nil, errPoint
	}
	own, err := peer.Curve().GenerateKey(rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	z, err := own.ECDH(peer)
	if err != nil {
		return nil, nil, err
	}
	x, y := coordinates(own.PublicKey().Bytes())
	px, _ := coordinates(point)
	seed = kdfe(hashOf(a.nameAlg), z, label, x, px)
	return seed, appendSized(appendSized(make([]byte, 0, 4+2*len(x)), x), y), nil
}

// coordinates returns the coordinates of an uncompressed point, in the size of the
// field.
func coordinates(point []byte) (x, y []byte) {
	size := len(point) / 2
	return point[1 : 1+size], point[1+size:]
}

// seal encrypts a secret with a seed for the object with the given name, and
// authenticates both. It returns the contents of a TPM2B_ID_OBJECT (TCG Part 1,
// 24.4).
func (a *area) seal(seed, name, secret []byte) ([]byte, error) {
	h := hashOf(a.nameAlg)
	size := h.Size()
	block, err := aes.NewCipher(kdfa(h, seed, "STORAGE", name, nil, int(a.sym.bits)))
	if err != nil {
		return nil, err
	}
	blob := make([]byte, 2+size, 2+size+2+len(secret))
	blob[0], blob[1] = byte(size>>8), byte(size)
	blob = appendSized(blob, secret)
	identity := blob[2+size:]
	cfb(block, make([]byte, aes.BlockSize), identity, true)
	m := hmac.New(h.New, kdfa(h, seed, "INTEGRITY", nil, nil, size*8))
	m.Write(identity)
	m.Write(name)
	m.Sum(blob[2:2])
	return blob, nil
}

// checkSecret returns an error for a name or secret that does not fit a credential,
// and for SHA-1 names, which two keys could share.
func checkSecret(a *area, name, secret []byte) error {
	if h := hashOf(a.nameAlg); len(secret) == 0 || len(secret) > h.Size() {
		return errors.New("secret is empty or longer than the digest of the name algorithm")
	}
	r := newReader(name)
	nh := hashOf(r.u16())
	if nh == 0 || len(name) != 2+nh.Size() {
		return errors.New("malformed name")
	}
	if nh == crypto.SHA1 || a.nameAlg == algSHA1 {
		return errWeakName
	}
	return nil
}
