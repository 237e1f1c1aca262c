package drstest

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1" //nolint:gosec // the protocol's OAEP is with SHA-1
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"strings"
)

// A ReplyForm is the form of the token endpoint's replies to requests with a session.
type ReplyForm int

// The forms of replies.
const (
	ReplyCBC   ReplyForm = iota // encrypted with AES-CBC, though the header says AES-GCM
	ReplyGCM                    // encrypted with AES-GCM
	ReplyPlain                  // JSON that is not encrypted; see drs.Client.PlainReplies
)

// derive derives a key of 32 bytes from a session key and a context, by the KDF in counter
// mode of NIST SP 800-108 (counter, label, zero, context, length in bits).
func derive(key, context []byte) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte("\x00\x00\x00\x01AzureAD-SecureConversation\x00"))
	h.Write(context)
	h.Write([]byte{0x00, 0x00, 0x01, 0x00})
	return h.Sum(nil)
}

// compact returns the compact form of a JWE with the given parts.
func compact(parts ...[]byte) string {
	var text []string
	for _, p := range parts {
		text = append(text, base64.RawURLEncoding.EncodeToString(p))
	}
	return strings.Join(text, ".")
}

// sealSessionKey encrypts a session key to a transport key as Entra does: the session key is
// the content encryption key, the content is one byte with its length, and the tag does not
// cover the header. With strict, it does.
func sealSessionKey(key []byte, to *rsa.PublicKey, strict bool) (string, error) {
	header := []byte(`{"enc":"A256GCM","alg":"RSA-OAEP"}`)
	wrapped, err := rsa.EncryptOAEP(sha1.New(), rand.Reader, to, key, nil)
	if err != nil {
		return "", err
	}
	gcm, err := newGCM(key)
	if err != nil {
		return "", err
	}
	var additional []byte
	if strict {
		additional = []byte(base64.RawURLEncoding.EncodeToString(header))
	}
	iv := random(gcm.NonceSize())
	text := gcm.Seal(nil, iv, []byte{byte(len(key))}, additional)
	return compact(header, wrapped, iv, text[:1], text[1:]), nil
}

func newGCM(key []byte) (cipher.AEAD, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCM(block)
}

// replySealed answers a request with a session, in the form Server.Reply. key is the session
// key.
func (s *Server) replySealed(w http.ResponseWriter, answer any, key []byte) error {
	if s.Reply == ReplyPlain {
		reply(w, http.StatusOK, answer)
		return nil
	}
	plain, err := json.Marshal(answer)
	if err != nil {
		return err
	}
	text, err := sealReply(plain, key, s.Reply)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	// The error is ignored: the client has disconnected.
	_, _ = w.Write([]byte(text))
	return nil
}

// sealReply encrypts a reply with a key that is derived from the session key.
func sealReply(plain, key []byte, form ReplyForm) (string, error) {
	context := random(24)
	header, err := json.Marshal(map[string]string{"alg": "dir", "enc": "A256GCM", "ctx": base64.StdEncoding.EncodeToString(context), "kid": "session"})
	if err != nil {
		return "", err
	}
	derived := derive(key, context)
	if form == ReplyGCM {
		gcm, err := newGCM(derived)
		if err != nil {
			return "", err
		}
		iv := random(gcm.NonceSize())
		text := gcm.Seal(nil, iv, plain, []byte(base64.RawURLEncoding.EncodeToString(header)))
		end := len(text) - gcm.Overhead()
		return compact(header, nil, iv, text[:end], text[end:]), nil
	}
	block, err := aes.NewCipher(derived)
	if err != nil {
		return "", err
	}
	iv, n := random(aes.BlockSize), aes.BlockSize-len(plain)%aes.BlockSize
	text := append(plain[:len(plain):len(plain)], strings.Repeat(string(rune(n)), n)...)
	cipher.NewCBCEncrypter(block, iv).CryptBlocks(text, text)
	return compact(header, nil, iv, text, nil), nil
}
