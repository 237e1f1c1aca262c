package drs

import (
	"bytes"
	"crypto/ecdh"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
)

// jweCrypto says in a request of protocol 4 how its reply is to be encrypted.
type jweCrypto struct {
	APV string `json:"apv"` // information of the recipient (RFC 7518, section 4.6.1.3), in base64url
	Alg string `json:"alg"`
	Enc string `json:"enc"`
}

// newJWECrypto returns the parameters of a request with new information of the recipient.
func newJWECrypto() *jweCrypto {
	return &jweCrypto{APV: b64.EncodeToString(newContext()), Alg: "ECDH-ES", Enc: "A256GCM"}
}

// An ecHeader is the header of a JWE with ECDH-ES (RFC 7518, section 4.6.1).
type ecHeader struct {
	Key struct {
		Type  string `json:"kty"`
		Curve string `json:"crv"`
		X     string `json:"x"`
		Y     string `json:"y"`
	} `json:"epk"`
	APU string `json:"apu"`
	APV string `json:"apv"`
}

// openECDH decrypts a reply of protocol 4 and reads it into v: a JWE by direct key agreement
// (ECDH-ES) with a storage key, which the parameters of the request describe.
func openECDH(reply []byte, storage ecdh.KeyExchanger, want *jweCrypto, v any) error {
	c, err := parseCompact(string(bytes.TrimSpace(withoutMark(reply))))
	if err != nil || c.header.Alg != want.Alg || c.header.Enc != want.Enc || len(c.key) != 0 || len(c.iv) != 12 {
		return errReply
	}
	var h ecHeader
	head, err := b64.DecodeString(c.protected)
	if err != nil || json.Unmarshal(head, &h) != nil || h.APV != "" && h.APV != want.APV {
		return errReply
	}
	apu, apuErr := b64.DecodeString(h.APU)
	apv, apvErr := b64.DecodeString(want.APV)
	peer, err := h.point()
	if apuErr != nil || apvErr != nil || err != nil {
		return errReply
	}
	z, err := storage.ECDH(peer)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrSession, err)
	}
	defer clear(z)
	key := concatKDF(z, want.Enc, apu, apv, 32)
	defer clear(key)
	text, ok := c.open(key)
	if !ok || json.Unmarshal(text, v) != nil {
		return errReply
	}
	return nil
}

// point returns the sender's ephemeral key.
func (h *ecHeader) point() (*ecdh.PublicKey, error) {
	if h.Key.Type != "EC" || h.Key.Curve != "P-256" {
		return nil, errors.New("the ephemeral key is not on P-256")
	}
	point := []byte{4} // uncompressed
	for _, text := range []string{h.Key.X, h.Key.Y} {
		b, err := b64.DecodeString(text)
		if err != nil || len(b) > 32 {
			return nil, errors.New("a coordinate of the ephemeral key cannot be read")
		}
		point = append(append(point, make([]byte, 32-len(b))...), b...)
	}
	return ecdh.P256().NewPublicKey(point)
}

// concatKDF derives a key of size bytes, at most 32, from a shared secret (RFC 7518, section
// 4.6.2): one round of the concatenation KDF of NIST SP 800-56A with SHA-256.
func concatKDF(z []byte, algorithm string, apu, apv []byte, size int) []byte {
	h := sha256.New()
	number := func(n int) { h.Write(binary.BigEndian.AppendUint32(nil, uint32(n))) }
	number(1)
	h.Write(z)
	for _, part := range [][]byte{[]byte(algorithm), apu, apv} {
		number(len(part))
		h.Write(part)
	}
	number(8 * size)
	return h.Sum(nil)[:size]
}
