package drs

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"

	"github.com/golang-jwt/jwt/v5"
)

// Labels of the keys that are derived from a session key.
const (
	labelConversation = "AzureAD-SecureConversation" // of the protocol
	labelSeal         = "whiteglove-session"         // of the key of Session.Seal
)

// contextLength is the size of a context in bytes, as in Windows.
const contextLength = 24

// derive derives a key of 32 bytes by one block of the KDF in counter mode with
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

// signSession returns a JWT of claims in JSON, with a MAC by a key that is derived from a
// session key and a context. Version 2 of the derivation uses the SHA-256 of the context
// and these claims instead of the context.
func signSession(key, context, claims []byte, version2 bool) (string, error) {
	header := struct {
		Alg     string `json:"alg"`
		Typ     string `json:"typ"`
		Context string `json:"ctx"` // in standard base64; the rest of the JWT is in base64url
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
