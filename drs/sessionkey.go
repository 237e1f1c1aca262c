package drs

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"fmt"
)

// sessionKeyLength is the size of a session key, in bytes.
const sessionKeyLength = 32

// openSessionKey decrypts the session key in a session_key_jwe with the transport key
// (RSAES-OAEP with SHA-1). The caller erases it.
//
// A session_key_jwe looks like RFC 7516 and is not: the session key is the content
// encryption key, the content is one byte with its length, and the authentication tag does
// not cover the header. The content is ignored, because it proves no more than OAEP does.
func openSessionKey(jwe string, transport crypto.Decrypter) ([]byte, error) {
	if transport == nil {
		return nil, fmt.Errorf("%w: no transport key", ErrSession)
	}
	c, err := parseCompact(jwe)
	if err != nil {
		return nil, fmt.Errorf("%w: session key: %w", ErrMalformed, err)
	}
	if c.header.Alg != "RSA-OAEP" || c.header.Enc != "A256GCM" {
		return nil, fmt.Errorf("%w: session key: algorithms %q and %q are not supported", ErrMalformed, cut(c.header.Alg), cut(c.header.Enc))
	}
	pub, ok := transport.Public().(*rsa.PublicKey)
	if !ok || len(c.key) != pub.Size() {
		return nil, fmt.Errorf("%w: the transport key is not an RSA key of the size that it needs", ErrSession)
	}
	key, err := transport.Decrypt(rand.Reader, c.key, &rsa.OAEPOptions{Hash: crypto.SHA1})
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrSession, err)
	}
	if len(key) != sessionKeyLength {
		clear(key)
		return nil, fmt.Errorf("%w: the session key has %d bytes", ErrMalformed, len(key))
	}
	return key, nil
}
