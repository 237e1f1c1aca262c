package drs

import (
	"crypto"
	"crypto/aes"
	"crypto/cipher"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"
)

// A Session is what a user who signed in on a joined device has: a primary
// refresh token, and a session key that only the device's transport key opens.
// The session key is never kept: each use opens it, has the transport key
// decrypt it, and erases it. It prints as "[session]". Methods of a Client make
// new Sessions and change none.
type Session struct {
	UPN      string    // the user's; empty if the service did not say
	TenantID string    // GUID in lower case; empty if the service did not say
	Expires  time.Time // when the refresh token ceases to be valid

	// In a closure, since package fmt looks into fields of fields, and behind
	// pointers if the verb is wrong.
	hidden func() secrets
}

// secrets are what a session does not show.
type secrets struct {
	token     Token // primary refresh token
	key       Token // session_key_jwe
	version2  bool  // of the key derivation
	transport crypto.Decrypter
}

const redactedSession = "[session]"

// String returns "[session]".
func (Session) String() string { return redactedSession }

// Format implements [fmt.Formatter]: every verb prints "[session]".
func (Session) Format(f fmt.State, _ rune) { io.WriteString(f, redactedSession) }

// LogValue implements [slog.LogValuer].
func (Session) LogValue() slog.Value { return slog.StringValue(redactedSession) }

// MarshalText fails: see [Session.Seal].
func (Session) MarshalText() ([]byte, error) {
	return nil, errors.New("drs: a session is not to be stored but sealed")
}

// hide returns v, out of sight.
func hide(v secrets) func() secrets { return func() secrets { return v } }

// use calls f with the session key, and erases it then.
func (s *Session) use(f func(key []byte) error) error {
	if s == nil || s.hidden == nil {
		return fmt.Errorf("%w: there is none", ErrSession)
	}
	own := s.hidden()
	key, err := openSessionKey(string(own.key), own.transport)
	if err != nil {
		return err
	}
	defer clear(key)
	return f(key)
}

// A sealed session is the stored form. Of secrets, only who holds the transport
// key can open any.
type sealed struct {
	V     int    `json:"v"`
	Key   string `json:"key"`   // session_key_jwe
	Nonce []byte `json:"nonce"` // of AES-256-GCM
	Text  []byte `json:"text"`  // contents, encrypted; Key is the additional data
}

// contents are a session's fields but for keys.
type contents struct {
	UPN      string    `json:"upn"`
	TenantID string    `json:"tid"`
	Expires  time.Time `json:"exp"`
	Token    string    `json:"prt"`
	Version2 bool      `json:"kdf2"`
}

// Seal returns the session as JSON for storage: the session key as the
// directory encrypted it to the transport key, all else encrypted by a key
// that is derived from the session key. Without the transport key, which a TPM
// does not give away, it is of no use. [OpenSession] is the opposite.
func (s *Session) Seal() ([]byte, error) {
	if s == nil || s.hidden == nil {
		return nil, fmt.Errorf("drs: seal: %w: there is none", ErrSession)
	}
	own := s.hidden()
	out := sealed{V: 1, Key: string(own.key)}
	plain, err := json.Marshal(contents{s.UPN, s.TenantID, s.Expires, string(own.token), own.version2})
	if err != nil {
		return nil, fmt.Errorf("drs: seal: %w", err)
	}
	defer clear(plain)
	err = s.use(func(key []byte) error {
		gcm, err := sealer(key)
		if err != nil {
			return err
		}
		out.Nonce = newContext()[:gcm.NonceSize()]
		out.Text = gcm.Seal(nil, out.Nonce, plain, []byte(out.Key))
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("drs: seal: %w", err)
	}
	return json.Marshal(out)
}

// OpenSession opens what [Session.Seal] returned, by the transport key of the
// join. If that is another one by now, or if anything was changed, it fails
// with [ErrSession].
func OpenSession(text []byte, transport crypto.Decrypter) (*Session, error) {
	var in sealed
	if len(text) > maxAnswer || json.Unmarshal(text, &in) != nil || in.V != 1 {
		return nil, fmt.Errorf("drs: open session: %w: not a sealed session", ErrSession)
	}
	own := secrets{key: Token(in.Key), transport: transport}
	s := &Session{hidden: hide(own)}
	var c contents
	err := s.use(func(key []byte) error {
		gcm, err := sealer(key)
		if err != nil {
			return err
		}
		if len(in.Nonce) != gcm.NonceSize() {
			return ErrSession
		}
		plain, err := gcm.Open(nil, in.Nonce, in.Text, []byte(in.Key))
		if err != nil || json.Unmarshal(plain, &c) != nil {
			return ErrSession
		}
		clear(plain)
		return nil
	})
	if err != nil && !errors.Is(err, ErrSession) {
		err = fmt.Errorf("%w: %w", ErrSession, err)
	}
	if err != nil {
		return nil, fmt.Errorf("drs: open session: %w", err)
	}
	own.token, own.version2 = Token(c.Token), c.Version2
	return &Session{UPN: c.UPN, TenantID: c.TenantID, Expires: c.Expires, hidden: hide(own)}, nil
}

// sealer returns the cipher that seals a session.
func sealer(key []byte) (cipher.AEAD, error) {
	derived := derive(key, labelSeal, nil)
	defer clear(derived)
	block, err := aes.NewCipher(derived)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCM(block)
}
