package drs

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"

	"github.com/golang-jwt/jwt/v5"
)

// Labels of what is derived from a session key: that of the protocol, and that
// of the key which seals a session for storage.
const (
	labelConversation = "AzureAD-SecureConversation"
	labelSeal         = "whiteglove-session"
)

// contextLength is the length of a context as Windows chooses it.
const contextLength = 24

// derive derives a key of 32 bytes in one block of counter mode with
// HMAC-SHA-256 (NIST SP 800-108, section 4.1; [MS-OAPXBC]).
//
// [MS-OAPXBC]: https://learn.microsoft.com/openspecs/windows_protocols/ms-oapxbc/
func derive(key []byte, label string, context []byte) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte{0, 0, 0, 1})
	h.Write([]byte(label))
	h.Write([]byte{0})
	h.Write(context)
	h.Write([]byte{0, 0, 1, 0})
	return h.Sum(nil)
}

// signSession returns a JWT of claims that are serialized already, with a MAC by
// the key that follows from a session key and a context. In version 2 the
// context is hashed together with the very bytes of the claims.
func signSession(key, context, claims []byte, version2 bool) (string, error) {
	header := struct {
		Alg     string `json:"alg"`
		Typ     string `json:"typ"`
		Context string `json:"ctx"` // in standard base64, unlike all else
		Version int    `json:"kdf_ver,omitempty"`
	}{Alg: "HS256", Typ: "JWT", Context: base64.StdEncoding.EncodeToString(context)}
	if version2 {
		header.Version = 2
		sum := sha256.Sum256(append(append([]byte(nil), context...), claims...))
		context = sum[:]
	}
	head, err := json.Marshal(header)
	if err != nil {
		return "", err
	}
	derived := derive(key, labelConversation, context)
	defer clear(derived)
	text := b64.EncodeToString(head) + "." + b64.EncodeToString(claims)
	mac, err := jwt.SigningMethodHS256.Sign(text, derived)
	if err != nil {
		return "", err
	}
	return text + "." + b64.EncodeToString(mac), nil
}

// newContext returns a random context.
func newContext() []byte {
	b := make([]byte, contextLength)
	// crypto/rand.Read does not fail: it ends the program first.
	_, _ = rand.Read(b)
	return b
}
