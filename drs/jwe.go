package drs

import (
	"bytes"
	"crypto"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/rsa"
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

// sessionKeyLength is that of a session key, in bytes.
const sessionKeyLength = 32

// A compact is a JWE in its compact form (RFC 7516, section 7.1), decoded.
type compact struct {
	protected string // the header as it came
	header    struct {
		Alg     string `json:"alg"`
		Enc     string `json:"enc"`
		Context string `json:"ctx"`
	}
	key, iv, text, tag []byte
}

func parseCompact(s string) (*compact, error) {
	parts := strings.Split(strings.TrimSpace(s), ".")
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

// openSessionKey returns the session key in a session_key_jwe, as the transport
// key opens it: RSAES-OAEP with SHA-1. The caller erases it.
//
// It looks like RFC 7516 and is not: the session key is the content encryption
// key, the content is one byte with its length, and the tag is made without
// the header. So the content is not looked at; it proves nothing that OAEP did
// not.
func openSessionKey(jwe string, transport crypto.Decrypter) ([]byte, error) {
	if transport == nil {
		return nil, fmt.Errorf("%w: no transport key", ErrSession)
	}
	c, err := parseCompact(jwe)
	if err != nil {
		return nil, fmt.Errorf("%w: session key: %w", ErrMalformed, err)
	}
	if c.header.Alg != "RSA-OAEP" || c.header.Enc != "A256GCM" {
		return nil, fmt.Errorf("%w: session key: algorithms %q and %q", ErrMalformed, cut(c.header.Alg), cut(c.header.Enc))
	}
	pub, ok := transport.Public().(*rsa.PublicKey)
	if !ok || len(c.key) != pub.Size() {
		return nil, fmt.Errorf("%w: it is for another kind of key", ErrSession)
	}
	key, err := transport.Decrypt(rand.Reader, c.key, &rsa.OAEPOptions{Hash: crypto.SHA1})
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrSession, err)
	}
	if len(key) != sessionKeyLength {
		clear(key)
		return nil, fmt.Errorf("%w: a session key of %d bytes", ErrMalformed, len(key))
	}
	return key, nil
}

// errReply is all that is said of an encrypted reply that cannot be read: from
// more a peer could learn what is in it.
var errReply = fmt.Errorf("%w: encrypted reply", ErrMalformed)

// openReply reads a token endpoint's reply into v: JSON, or JSON encrypted by a
// key that follows from the session key. Its header says AES-GCM always; with
// an initial vector of 16 bytes it is AES-CBC in truth, and not authenticated
// but by TLS.
func openReply(reply, key []byte, v any) error {
	reply = bytes.TrimSpace(withoutMark(reply))
	if len(reply) > 0 && reply[0] == '{' {
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
	plain, ok := c.open(derived)
	if !ok || json.Unmarshal(plain, v) != nil {
		return errReply
	}
	return nil
}

// open decrypts c's content. It reports whether it could.
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

// unpad removes padding (RFC 5652, section 6.3) of blocks of 16 bytes, in the
// same time whatever it is.
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
