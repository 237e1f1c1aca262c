package drs

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

// A compact is a JWE in its compact form (RFC 7516, section 7.1), decoded.
type compact struct {
	protected string // the header as received, in base64url
	header    struct {
		Alg     string `json:"alg"`
		Enc     string `json:"enc"`
		Context string `json:"ctx"`
	}
	key, iv, text, tag []byte
}

func parseCompact(s string) (*compact, error) {
	parts := strings.SplitN(strings.TrimSpace(s), ".", 6)
	if len(parts) != 5 || len(s) > maxAnswer {
		return nil, errors.New("not a compact JWE")
	}
	c := &compact{protected: parts[0]}
	head, err := b64.DecodeString(parts[0])
	if err == nil {
		err = json.Unmarshal(head, &c.header)
	}
	for i, into := range []*[]byte{&c.key, &c.iv, &c.text, &c.tag} {
		if err == nil {
			*into, err = b64.DecodeString(parts[i+1])
		}
	}
	if err != nil {
		return nil, errors.New("not a compact JWE")
	}
	return c, nil
}

// errReply is the only error for an encrypted reply that cannot be read. More detail could
// tell a peer something of the plaintext (padding oracle).
var errReply = fmt.Errorf("%w: the encrypted reply is not valid", ErrMalformed)

// openReply reads the reply of a token endpoint into v: JSON encrypted with a key that is
// derived from the session key or, if plain is true, JSON that is not encrypted. The header
// always says AES-GCM. If the initialization vector has 16 bytes, it is AES-CBC in fact,
// which only TLS authenticates.
func openReply(reply, key []byte, plain bool, v any) error {
	reply = bytes.TrimSpace(withoutMark(reply))
	if len(reply) > 0 && reply[0] == '{' {
		if !plain {
			return fmt.Errorf("%w: the reply is not encrypted with the session key", ErrMalformed)
		}
		if err := json.Unmarshal(reply, v); err != nil {
			return fmt.Errorf("%w: %w", ErrMalformed, err)
		}
		return nil
	}
	c, err := parseCompact(string(reply))
	if err != nil || c.header.Alg != "dir" || c.header.Enc != "A256GCM" || len(c.key) != 0 {
		return errReply
	}
	context, err := base64.StdEncoding.DecodeString(c.header.Context)
	if err != nil || len(context) == 0 {
		return errReply
	}
	derived := derive(key, labelConversation, context)
	defer clear(derived)
	text, ok := c.open(derived)
	if !ok || json.Unmarshal(text, v) != nil {
		return errReply
	}
	return nil
}

// open decrypts the content of c. It reports whether that succeeded.
func (c *compact) open(key []byte) ([]byte, bool) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, false
	}
	switch {
	case len(c.iv) == 12:
		gcm, err := cipher.NewGCM(block)
		if err != nil {
			return nil, false
		}
		plain, err := gcm.Open(nil, c.iv, append(bytes.Clone(c.text), c.tag...), []byte(c.protected))
		return plain, err == nil
	case len(c.iv) == aes.BlockSize && len(c.tag) == 0 && len(c.text) > 0 && len(c.text)%aes.BlockSize == 0:
		plain := make([]byte, len(c.text))
		cipher.NewCBCDecrypter(block, c.iv).CryptBlocks(plain, c.text)
		return unpad(plain)
	}
	return nil, false
}

// unpad removes the padding of blocks of 16 bytes (RFC 5652, section 6.3) in constant
// time. It reports whether the padding was valid.
func unpad(b []byte) ([]byte, bool) {
	n := int(b[len(b)-1])
	good := subtle.ConstantTimeLessOrEq(1, n) & subtle.ConstantTimeLessOrEq(n, aes.BlockSize)
	for i := range aes.BlockSize {
		outside := subtle.ConstantTimeLessOrEq(n, i)
		good &= outside | subtle.ConstantTimeByteEq(b[len(b)-1-i], byte(n))
	}
	if good != 1 {
		return nil, false
	}
	return b[:len(b)-n], true
}
