package cms

import (
	"crypto"
	"crypto/aes"
	"crypto/cipher"
	"crypto/des"
	"crypto/rsa"
	"encoding/asn1"
	"fmt"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// A Cipher is a content-encryption algorithm.
type Cipher int

// The supported ciphers.
const (
	AES128CBC Cipher = iota // RFC 3565
	AES256CBC               // RFC 3565
	DES3CBC                 // triple DES, RFC 3370; only for peers that have nothing better
	DESCBC                  // single DES; only read, never written
)

// String returns a name such as "AES-128-CBC".
func (c Cipher) String() string {
	switch c {
	case AES128CBC:
		return "AES-128-CBC"
	case AES256CBC:
		return "AES-256-CBC"
	case DES3CBC:
		return "3DES-CBC"
	case DESCBC:
		return "DES-CBC"
	}
	return fmt.Sprintf("cipher %d", int(c))
}

// An encryption is the algorithm of a Cipher.
type encryption struct {
	id                 asn1.ObjectIdentifier
	keySize, blockSize int // bytes
	block              func(key []byte) (cipher.Block, error)
}

func (c Cipher) algorithm() (encryption, error) {
	switch c {
	case AES128CBC:
		return encryption{oidAES128, 16, aes.BlockSize, aes.NewCipher}, nil
	case AES256CBC:
		return encryption{oidAES256, 32, aes.BlockSize, aes.NewCipher}, nil
	case DES3CBC:
		return encryption{oid3DES, 24, des.BlockSize, des.NewTripleDESCipher}, nil
	case DESCBC:
		return encryption{oidDES, 8, des.BlockSize, des.NewCipher}, nil
	}
	return encryption{}, fmt.Errorf("cms: %w: %v", ErrAlgorithm, c)
}

// cipherOf returns the cipher with an object identifier.
func cipherOf(id asn1.ObjectIdentifier) (Cipher, encryption, error) {
	for _, c := range []Cipher{AES128CBC, AES256CBC, DES3CBC, DESCBC} {
		if alg, err := c.algorithm(); err == nil && alg.id.Equal(id) {
			return c, alg, nil
		}
	}
	return 0, encryption{}, fmt.Errorf("cms: %w: cipher %v", ErrAlgorithm, id)
}

// options returns the options with which the recipient's key decrypts the content
// key, which has keySize bytes.
func (r *recipient) options(keySize int) (crypto.DecrypterOpts, error) {
	switch {
	case r.wrap.id.Equal(oidRSA) && r.wrap.plain():
		//lint:ignore SA1019 the sender chose it; see Enveloped.Decrypt for the precaution
		return &rsa.PKCS1v15DecryptOptions{SessionKeyLen: keySize}, nil
	case r.wrap.id.Equal(oidOAEP):
		return oaepOptions(r.wrap.params)
	}
	return nil, fmt.Errorf("cms: %w: key transport %v", ErrAlgorithm, r.wrap.id)
}

// oaepOptions reads RSAES-OAEP-params (RFC 4055, section 4.1). Labels are not
// supported.
func oaepOptions(params cryptobyte.String) (*rsa.OAEPOptions, error) {
	opts := &rsa.OAEPOptions{Hash: crypto.SHA1, MGFHash: crypto.SHA1}
	bad := malformed("parameters of OAEP")
	if params.Empty() {
		return opts, nil
	}
	var seq, field cryptobyte.String
	var present bool
	if !params.ReadASN1(&seq, cbasn1.SEQUENCE) || !params.Empty() {
		return nil, bad
	}
	var ok bool
	var alg, inner algorithm
	if !seq.ReadOptionalASN1(&field, &present, tag0) {
		return nil, bad
	}
	if present {
		if !readAlgorithm(&field, &alg) || !field.Empty() {
			return nil, bad
		}
		if opts.Hash, ok = hashOf(alg.id); !ok {
			return nil, fmt.Errorf("cms: %w: OAEP with %v", ErrAlgorithm, alg.id)
		}
	}
	if !seq.ReadOptionalASN1(&field, &present, tag1) {
		return nil, bad
	}
	if present {
		if !readAlgorithm(&field, &alg) || !field.Empty() || !alg.id.Equal(oidMGF1) || !readAlgorithm(&alg.params, &inner) {
			return nil, bad
		}
		if opts.MGFHash, ok = hashOf(inner.id); !ok {
			return nil, fmt.Errorf("cms: %w: MGF1 with %v", ErrAlgorithm, inner.id)
		}
	}
	if !seq.Empty() {
		return nil, fmt.Errorf("cms: %w: OAEP with a label", ErrAlgorithm)
	}
	return opts, nil
}
