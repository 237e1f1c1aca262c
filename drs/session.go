package drs

import (
	"crypto"
	"crypto/aes"
	"crypto/cipher"
	"crypto/ecdh"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"
)

// A Session is the sign-in of a user on a joined device: a primary refresh token and the
// session key that belongs to it, encrypted to the device's transport key. The plain
// session key is not kept: each use has the transport key decrypt it, and erases it
// afterwards. In protocol 4 there is no session key: see [SignIn.Protocol]. A Session prints as "[session]" and cannot be encoded; [Session.Seal] returns
// a form to store. Methods of [Client] return new Sessions and change none.
type Session struct {
	UPN      string    // user principal name; empty if it is not known
	TenantID string    // GUID in lower case; empty if it is not known
	Expires  time.Time // end of the refresh token's validity; zero if the service did not say

	// The secrets are in a closure because package fmt prints the fields of fields
	// without calling their methods, and follows pointers if the verb is wrong.
	hidden func() secrets
}

// secrets are the parts of a session that are never printed.
type secrets struct {
	token     Token // primary refresh token
	key       Token // session_key_jwe
	version2  bool  // the key derivation is of version 2
	protocol  int
	transport crypto.Decrypter

	// Instead of key and transport in protocol 4:
	certificate *x509.Certificate
	device      crypto.Signer
	storage     ecdh.KeyExchanger

	ticketAD, ticketCloud string // Kerberos tickets as JSON; may be empty
}

const redactedSession = "[session]"

// String returns "[session]".
func (Session) String() string { return redactedSession }

// Format implements [fmt.Formatter]: every verb prints "[session]".
func (Session) Format(f fmt.State, _ rune) { io.WriteString(f, redactedSession) }

// LogValue implements [slog.LogValuer].
func (Session) LogValue() slog.Value { return slog.StringValue(redactedSession) }

// MarshalText always fails, so that encoders cannot write a session. See [Session.Seal].
// The error wraps no error of this package.
func (Session) MarshalText() ([]byte, error) {
	return nil, errors.New("drs: a session cannot be encoded: use Seal")
}

// hide returns a function that returns v.
func hide(v secrets) func() secrets { return func() secrets { return v } }

// KerberosTickets returns the Kerberos tickets that came with the primary refresh token, for
// Active Directory and for the cloud: each the JSON of the service, with the members
// clientKey (a JWE by the session key), keyType, messageBuffer, realm, sn and cn. They are
// nil unless SignIn.Kerberos or the renewal requested them and the service sent them.
// They are not part of what [Session.Seal] returns. Their form is not specified.
func (s *Session) KerberosTickets() (ad, cloud []byte) {
	if s == nil || s.hidden == nil {
		return nil, nil
	}
	bytes := func(text string) []byte {
		if text == "" {
			return nil
		}
		return []byte(text)
	}
	own := s.hidden()
	return bytes(own.ticketAD), bytes(own.ticketCloud)
}

// use calls f with the session key and erases the key afterwards. s is from SignIn.
func (s *Session) use(f func(key []byte) error) error {
	own := s.hidden()
	if own.protocol == protocol4 {
		return fmt.Errorf("%w: a session of protocol 4 has no session key", ErrSession)
	}
	key, err := openSessionKey(string(own.key), own.transport)
	if err != nil {
		return err
	}
	defer clear(key)
	return f(key)
}

// sealed is the stored form of a session. Only the transport key can decrypt its secrets.
type sealed struct {
	V     int    `json:"v"`     // 1
	Key   string `json:"key"`   // session_key_jwe
	Nonce []byte `json:"nonce"` // of AES-256-GCM
	Text  []byte `json:"text"`  // encrypted contents; Key is the additional data
}

// contents are the encrypted fields of a stored session.
type contents struct {
	UPN      string    `json:"upn"`
	TenantID string    `json:"tid"`
	Expires  time.Time `json:"exp"`
	Token    string    `json:"prt"`
	Version2 bool      `json:"kdf2"`
	Protocol int       `json:"protocol,omitempty"` // 0 is 2
}

// Seal returns the session as JSON for storage, which [UnsealSession] reads. It has the
// session key as the directory encrypted it to the transport key, and the rest encrypted
// (AES-256-GCM) with a key that is derived from the session key. Without the transport
// key, which stays in the TPM, nobody can use it.
//
// The error is not an [*Error]. It wraps [ErrSession] if there is no session or the
// transport key cannot decrypt its session key.
func (s *Session) Seal() ([]byte, error) {
	if s == nil || s.hidden == nil {
		return nil, fmt.Errorf("drs: seal: %w: it is nil or not from SignIn", ErrSession)
	}
	own := s.hidden()
	plain, err := json.Marshal(contents{s.UPN, s.TenantID, s.Expires, string(own.token), own.version2, own.protocol})
	if err != nil {
		return nil, fmt.Errorf("drs: seal: %w", err)
	}
	defer clear(plain)
	if own.protocol == protocol4 {
		return sealToStorage(plain, own.storage.PublicKey())
	}
	out := sealed{V: 1, Key: string(own.key)}
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

// UnsealSession reads what [Session.Seal] returned. transport is the transport key of the
// join, which the returned session uses from then on. For a session of protocol 4 see
// [SignIn.Unseal].
//
// The error is not an [*Error]. It wraps [ErrSession] if text is not a stored session, was
// changed, or belongs to another transport key.
func UnsealSession(text []byte, transport crypto.Decrypter) (*Session, error) {
	var in sealed
	if len(text) > maxAnswer || json.Unmarshal(text, &in) != nil || in.V != 1 {
		return nil, fmt.Errorf("drs: unseal session: %w: the text is not from Seal", ErrSession)
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
		return nil, fmt.Errorf("drs: unseal session: %w", err)
	}
	own.token, own.version2, own.protocol = Token(c.Token), c.Version2, c.Protocol
	if own.protocol == 0 {
		own.protocol = protocol2
	}
	return &Session{UPN: c.UPN, TenantID: c.TenantID, Expires: c.Expires, hidden: hide(own)}, nil
}

// sealer returns the cipher of a stored session.
func sealer(key []byte) (cipher.AEAD, error) {
	derived := derive(key, labelSeal, nil)
	defer clear(derived)
	block, err := aes.NewCipher(derived)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCM(block)
}
