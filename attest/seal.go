package attest

import (
	"crypto/aes"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"errors"

	"github.com/google/go-tpm/tpm2"
)

// Labels of what is encrypted to a storage key (TCG Part 1, 24.5 and 19.6.14).
const (
	labelIdentity = "IDENTITY"
	labelSecret   = "SECRET"
)

// storageKey reads the TPMT_PUBLIC of a storage key that secrets can be
// encrypted to.
func storageKey(b []byte) (*area, error) {
	a, err := parseArea(b)
	if err != nil {
		return nil, err
	}
	if !a.isParent() || hashOf(a.nameAlg) == 0 || a.sym.mode != algCFB || a.sym.bits != 128 && a.sym.bits != 192 && a.sym.bits != 256 {
		return nil, errNoParent
	}
	return &a, nil
}

// newSeed returns a random seed, as long as the digest of the key's name
// algorithm, and the same encrypted to the key, as a TPM2B_ENCRYPTED_SECRET
// without its size (TCG Part 1, B.10 and C.6).
func (a *area) newSeed(label string) (seed, encrypted []byte, err error) {
	pub, err := a.key()
	if err != nil {
		return nil, nil, err
	}
	h := hashOf(a.nameAlg)
	switch k := pub.(type) {
	case *rsa.PublicKey:
		seed = make([]byte, h.Size())
		if _, err := rand.Read(seed); err != nil {
			return nil, nil, err
		}
		encrypted, err = rsa.EncryptOAEP(h.New(), rand.Reader, k, seed, append([]byte(label), 0))
		return seed, encrypted, err
	case *ecdsa.PublicKey:
		return a.agree(k, label)
	}
	return nil, nil, errNoParent
}

// agree is newSeed for ECC: one-pass ECDH with an ephemeral key.
func (a *area) agree(k *ecdsa.PublicKey, label string) (seed, encrypted []byte, err error) {
	peer, err := k.ECDH()
	if err != nil {
		return nil, nil, err
	}
	own, err := peer.Curve().GenerateKey(rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	z, err := own.ECDH(peer)
	if err != nil {
		return nil, nil, err
	}
	x, y := coordinates(own.PublicKey())
	px, _ := coordinates(peer)
	h := hashOf(a.nameAlg)
	seed = tpm2.KDFe(h, z, label, x, px, h.Size()*8)
	return seed, appendSized(appendSized(make([]byte, 0, 4+2*len(x)), x), y), nil
}

// coordinates returns a point's coordinates, as long as the field.
func coordinates(k *ecdh.PublicKey) (x, y []byte) {
	point := k.Bytes()[1:]
	return point[:len(point)/2], point[len(point)/2:]
}

// seal encrypts a secret with a seed for the object with the given name, and
// authenticates both: the contents of a TPM2B_ID_OBJECT (TCG Part 1, 24.4).
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

// checkSecret refuses what does not go into a credential.
func checkSecret(a *area, name, secret []byte) error {
	if h := hashOf(a.nameAlg); len(secret) == 0 || len(secret) > h.Size() {
		return errors.New("secret is empty or longer than the digest of the name algorithm")
	}
	r := newReader(name)
	if nh := hashOf(r.u16()); nh == 0 || len(name) != 2+nh.Size() {
		return errors.New("malformed name")
	}
	return nil
}
