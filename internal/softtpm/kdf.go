package softtpm

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
)

// mac returns HMAC over the concatenation of parts. alg must be a hash.
func mac(alg uint16, key []byte, parts ...[]byte) []byte {
	h := hmac.New(hashOf(alg).New, key)
	for _, p := range parts {
		h.Write(p)
	}
	return h.Sum(nil)
}

// kdfA is KDFa of part 1, 11.4.10.2; bits is a multiple of 8.
func kdfA(alg uint16, key []byte, label string, u, v []byte, bits int) []byte {
	var out []byte
	for i := uint32(1); len(out) < bits/8; i++ {
		out = append(out, mac(alg, key, be32(i), []byte(label), []byte{0}, u, v, be32(uint32(bits)))...)
	}
	return out[:bits/8]
}

// kdfE is KDFe of part 1, 11.4.10.3; bits is a multiple of 8.
func kdfE(alg uint16, z []byte, label string, u, v []byte, bits int) []byte {
	var out []byte
	for i := uint32(1); len(out) < bits/8; i++ {
		out = append(out, digest(alg, be32(i), z, []byte(label), []byte{0}, u, v)...)
	}
	return out[:bits/8]
}

// cfb en- or decrypts b in place with AES in CFB mode. The key must be of a
// size of AES.
func cfb(key, iv, b []byte, decrypt bool) {
	c, err := aes.NewCipher(key)
	if err != nil {
		return
	}
	//lint:ignore SA1019 the TPM's own mode; each use is under an HMAC
	s := cipher.NewCFBEncrypter(c, iv)
	if decrypt {
		//lint:ignore SA1019 the TPM's own mode; each use is under an HMAC
		s = cipher.NewCFBDecrypter(c, iv)
	}
	s.XORKeyStream(b, b)
}
